"""Follow calls to their end: which calls are waited for and which endings were reported. No Airflow."""
