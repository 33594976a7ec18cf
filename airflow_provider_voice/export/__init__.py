"""Reads call history and writes it: rows, windows, and the two targets in ``warehouse`` and ``files``."""
