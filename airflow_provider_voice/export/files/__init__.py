"""Calls as files: days, formats, and sets of files in a storage."""
