"""Call history in a SQL table: rows, staging and the guarded merge, by SQL dialect. Nothing here imports Airflow.

``rows.py`` makes a row of a call, ``spool.py`` holds rows while they are pulled, ``dialects.py`` knows each database's
SQL, ``load.py`` runs the one transaction, ``errors.py`` keeps row values out of messages.
"""
