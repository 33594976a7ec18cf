"""Call history in a SQL table. Nothing here imports Airflow.

``table.py`` is the table, ``load.py`` the one transaction of a load, ``dialects.py`` the SQL with a file for each
database beside it, ``registry.py`` the choice of the dialect, ``coverage_log.py`` the log of what is exported,
``table_state.py`` the state before a run, ``errors.py`` keeps row values out of messages.
"""
