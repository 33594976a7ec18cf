"""Read call history and write it down: rows, windows, and the two targets in ``warehouse`` and ``files``."""
