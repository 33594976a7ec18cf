"""Call history in a SQL table. Nothing here imports Airflow.

``table.py`` is the table, ``load.py`` the one transaction of a load and ``merge_sql.py`` its statements,
``coverage_log.py`` the log of exports, ``table_state.py`` the table in one transaction. ``dialects.py`` holds
the statements that all databases share, one file for each database its differences, ``registry.py`` the choice of one.
"""
