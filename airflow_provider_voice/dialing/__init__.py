"""Place one call at most once: whether a create may be sent, and what became of one whose answer was lost."""
