"""What the command lines share: from the NetCDF files of a CMIP6 dataset to one verified Zarr store.

Its groups, from those who use to what is used. A group imports nothing of those above it:

    report     what a person looks at: sizes and their reasons, quick looks, the report of a campaign
    campaign   all datasets together: what is left to do, bundles, states, tables, what it will take
    job        command lines of the rules, receipts, notes of what is at work, the queue
    restore    the source files again, from a store and its provenance
    convert    read raw values, compress them, write the chunks of a store
    verify     the proof that the store holds them; imports nothing of convert, plan and source
    store      objects in a folder or a bucket, ledger, provenance, seal, audit
    source     what the files of a dataset hold, and whether they are fit to become one store
    catalogue  which datasets there are, and which files each has
    plan       chunks, shards, slabs and memory, in integers
    model      the types that a receipt is when it has been read
    core       errors, files that are written whole, chunk geometry, buffers, progress
"""

import os

RECIPE = 1
"""Raise it when stores written by older code must be written again; CHANGELOG.md says why."""

# Threads are dask's, as many as a job is given: the pools of numerical libraries would only come on top of them. Read
# by those libraries when they are loaded, so set before anything here imports numpy.
for _pool in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "BLOSC"):
    os.environ.setdefault(f"{_pool}_NUM_THREADS", "1")
os.environ.setdefault("VECLIB_MAXIMUM_THREADS", "1")
# So is this by polars: without it a catalogue's gigabyte stays with the process for the whole of a run.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
