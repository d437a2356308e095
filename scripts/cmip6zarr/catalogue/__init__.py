"""Which datasets there are, and which files each has."""
