"""One module per vendor: its HTTP API on one side, the package's own vocabulary on the other. Imports no Airflow.

To add a vendor, add a module with a :class:`~airflow_provider_voice.vendors.base.Vendor` and a hook class for it.
"""
