"""How a dataset is cut into chunks, shards and slabs, and the memory that takes: integers, no I/O."""
