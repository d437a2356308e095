"""Read a store back with plain xarray, from disk or through one of two S3 clients; print what it took as JSON.

Called with a client of CLIENTS, a store, and what to read of it once it is open. Environment variables say where S3 is.
"""

import json
import sys
import time
import warnings

DISK, OBSTORE, S3FS = CLIENTS = ("disk", "obstore", "s3fs")
OPEN, MAP, ALL = "open", "read one map", "read all"


def source(client: str, store: str):
    """Return what xarray is given to open."""
    if client == OBSTORE:
        from obstore.store import from_url
        from zarr.storage import ObjectStore

        return ObjectStore(from_url(store), read_only=True)
    if client == S3FS:
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(store, read_only=True)
    return store


def main(argv: list[str]) -> None:
    """Print {what: [wall seconds, CPU seconds]} of opening and of each part that was asked for."""
    import obstore.store  # noqa: F401  no client has its import counted
    import s3fs  # noqa: F401
    import xarray as xr
    import zarr.storage  # noqa: F401

    client, store, *parts = argv
    warnings.filterwarnings("ignore")
    spent = {}

    def timed(what, work):
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        spent[what] = [round(time.perf_counter() - wall, 4), round(time.process_time() - cpu, 4)]
        return done

    opened = timed(OPEN, lambda: xr.open_zarr(source(client, store), chunks=None, decode_cf=False))
    # xarray keeps what it has read whole: the map comes first.
    for part, where in ((MAP, {"time": 1, "plev": 0}), (ALL, {})):
        if part in parts:
            timed(part, opened["ta"].isel(where).to_numpy)
    print(json.dumps(spent))


if __name__ == "__main__":
    main(sys.argv[1:])
