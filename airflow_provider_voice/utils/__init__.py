"""Small Airflow glue that several operators share."""
