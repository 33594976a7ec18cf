"""Notifiers: phone calls out of Airflow's callbacks and deadline alerts."""
