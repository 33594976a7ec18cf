"""Triggers that wait for calls in the triggerer."""
