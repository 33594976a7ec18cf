"""What runs the checkout and is not in the wheel: the demo and a whole Airflow to look at."""
