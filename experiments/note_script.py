"""The reference: the script of June 2020, on today's xarray and zarr; as its author cured it, unless told otherwise.

Called with a folder of NetCDF files and a store. The codec and format are those of that day: Zarr v2, Blosc lz4. The
options are what the note asks about. Prints what it found as JSON.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import dask
import numcodecs
import xarray as xr

RULE = {"time": 4}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--chunks", choices=("open", "after"), default="open", help="where the chunks are asked for")
    parser.add_argument(
        "--unify", choices=("discarded", "kept", "none"), default="discarded", help="what became of unify_chunks()"
    )
    parser.add_argument("--parallel", action="store_true", help="of open_mfdataset")
    parser.add_argument("--scheduler", choices=("threads", "synchronous", "processes"), default="threads")
    parser.add_argument("--open-only", action="store_true", help="write nothing")
    return parser.parse_args(argv)


def consistent(dataset: xr.Dataset) -> bool:
    """Tell whether all variables are cut alike along time, as `Dataset.chunks` wants it."""
    try:
        return bool(dataset.chunks)
    except ValueError:
        return False


def main(argv=None) -> None:
    args = parse(argv)
    warnings.filterwarnings("ignore")
    sources = sorted(args.sources.glob("*.nc"))
    start = time.perf_counter()
    with dask.config.set(scheduler=args.scheduler):
        dataset = xr.open_mfdataset(sources, parallel=args.parallel, chunks=RULE if args.chunks == "open" else None)
        field = dataset["ta"]
        said = {
            "open_s": round(time.perf_counter() - start, 3),
            "opened_mib": round(max(field.data.chunks[0]) * field[0].size * field.dtype.itemsize / 2**20, 2),
            "grown": sorted(name for name in dataset if name.endswith("_bnds") and "time" in dataset[name].dims[:1]),
        }
        if args.chunks == "after":
            dataset = dataset.chunk(RULE)
        said["consistent"] = consistent(dataset)
        if args.unify == "discarded":
            dataset["ta"].unify_chunks()  # the result was thrown away then, too
        elif args.unify == "kept":
            dataset = dataset.unify_chunks()
        said["consistent_then"] = consistent(dataset)
        said["cut"] = max(dataset["ta"].data.chunks[0])
        if not args.open_only:
            codec = {"ta": {"compressors": (numcodecs.Blosc("lz4", 5, 1),)}}
            dataset.to_zarr(args.store, mode="w", zarr_format=2, encoding=codec)
    print(json.dumps(said))


if __name__ == "__main__":
    sys.exit(main())
