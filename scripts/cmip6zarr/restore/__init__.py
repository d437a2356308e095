"""Write the source files again from a store and its provenance."""
