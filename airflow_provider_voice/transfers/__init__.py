"""Operators that load call history."""
