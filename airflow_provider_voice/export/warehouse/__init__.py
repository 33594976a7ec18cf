"""Call history in a SQL table. Nothing here imports Airflow.

``table.py`` is the table and the choice of its dialect, ``transaction.py`` the table in one transaction, ``load.py``
the work of a load in it and ``merge_sql.py`` its statements, ``coverage_log.py`` the log of exports. ``dialects.py``
holds the statements that all databases share, one file for each database its differences.
"""
