"""Runners of the checkout, which are not in the wheel: the demo and a whole Airflow with a page to open."""
