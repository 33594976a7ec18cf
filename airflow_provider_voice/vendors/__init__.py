"""One file per vendor: its HTTP API on one side, our words on the other. Nothing here imports Airflow.

Adding a vendor is adding a file with a :class:`~airflow_provider_voice.vendors.base.Vendor` and a hook class for it.
"""
