"""The page *Voice* in Airflow's UI."""
