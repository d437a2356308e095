"""Read raw values and write them as the chunks of a store, past the libraries where those are slow."""
