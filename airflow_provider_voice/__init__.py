"""Apache Airflow provider for AI voice-call APIs.

Importing this package imports nothing else: Airflow reads the version from here on every start.
"""

from __future__ import annotations

__version__ = "0.1.0"
