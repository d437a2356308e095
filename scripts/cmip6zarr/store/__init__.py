"""A Zarr store, in a folder or a bucket: its objects, its ledger, its provenance, its seal, its audit."""
