"""Airflow connections to voice vendors."""
