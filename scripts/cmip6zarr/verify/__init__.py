"""The proof that a store holds what its source files hold, by code that shares nothing with inventory and convert.

`row` finds the files, `header` and `held` read what each of them says, `meaning`, `order` and `left_out` judge whether
they may be one dataset, `metadata` and `values` compare them with the store, and `opens` opens it as a user would.
"""
