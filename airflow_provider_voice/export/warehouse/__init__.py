"""Call history in a SQL table. Nothing here imports Airflow.

``table.py`` is the table, ``load.py`` the one transaction of a load and ``merge_sql.py`` its statements,
``coverage_log.py`` the log of what is exported, ``table_state.py`` the state before a run. ``dialects.py`` has what
databases share, a file for each database beside it what they do not, and ``registry.py`` the choice between them.
"""
