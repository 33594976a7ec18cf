"""Places one call at most once, and finds out what became of a create whose answer was lost."""
