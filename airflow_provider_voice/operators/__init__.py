"""Operators that place calls."""
