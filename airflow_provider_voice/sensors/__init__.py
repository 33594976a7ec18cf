"""Sensors that wait for calls."""
