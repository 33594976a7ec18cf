"""Places one call at most once, and searches for the call of a create whose response was lost."""
