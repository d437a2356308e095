"""The proof that a store holds what its source files hold; it shares no rule with what converts."""
