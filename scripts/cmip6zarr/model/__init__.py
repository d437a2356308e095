"""The types that travel from rule to rule: a receipt is one of them as JSON."""
