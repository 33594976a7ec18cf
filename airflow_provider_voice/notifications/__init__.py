"""Notifiers: phone calls from Airflow's callbacks and deadline alerts."""
