"""Calls as files: their formats, and putting a set of them into a storage."""
