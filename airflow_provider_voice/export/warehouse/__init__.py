"""Call history in a SQL table: rows, staging and the guarded merge, by SQL dialect. Nothing here imports Airflow.

``words.py`` says what an export is, ``rows.py`` makes a row of a call, ``spool.py`` holds rows while they are pulled,
``dialects.py`` and the files beside it know each database's SQL, ``table.py`` is the table, ``load.py`` the one
transaction of a load, ``errors.py`` keeps row values out of messages.
"""
