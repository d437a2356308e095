"""Bits of source files flipped after preset native has copied them: found by either proof."""

import os
import random
from pathlib import Path

from common import ID, Bench, Outcome, chain
from faults import flip, verified

from cmip6zarr.convert import hdf5_layout
from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

NATIVE = {"convert": ("--codec", "native")}
STREAMS = NATIVE | {"verify": ("--mode", "streams")}
"""Options of the rules: chunks are copied, and proven by their values, or by their streams."""


def flipped_sources(folder: Path, count: int) -> Outcome:
    """Flip a bit of a copied chunk in a file that keeps its times, of which the inventory is taken anew."""
    told, bench, chance = (
        Outcome("a bit of a copied source flipped"),
        Bench(folder, 30, 18, 36, NATIVE),
        random.Random(9),
    )
    for rule in ("convert", "verify"):
        if bench.run(rule).returncode:
            raise SystemExit(f"{rule} failed")
    convert = receipts.path_of(bench.results, "convert", ID)
    receipt, harmless = convert.read_text(), 0
    while told.count < count:
        told.count += 1
        bench.asked = (NATIVE, STREAMS)[told.count % 2]
        path, times = (chosen := chance.choice(bench.paths)), (chosen.stat().st_atime_ns, chosen.stat().st_mtime_ns)
        step = chance.randrange(bench.steps // 3)
        offset, size, _ = hdf5_layout.layouts(str(path))["tas"].index.get((step, 0, 0))
        right = path.read_bytes()
        path.write_bytes(right[:offset] + flip(right[offset : offset + size], chance) + right[offset + size :])
        os.utime(path, ns=times)
        chain.take(bench.paths, bench.results)
        words = f"bit of step {step} of {path.name}, {bench.asked}"
        if verified(bench):
            told.promise(not zarr_store.is_sealed(bench.store), f"{words}: sealed")
            told.promise(path.name in bench.failed()["message"], f"{words}: not named: {bench.failed()['message']}")
        else:  # of the bits behind the end of a deflated stream none is a value
            harmless += 1
            told.promise(bench.equal(), f"{words}: not seen")
        path.write_bytes(right)
        os.utime(path, ns=times)
        chain.take(bench.paths, bench.results)
        convert.write_text(receipt)
        told.promise(verified(bench) == 0, f"{words}: not sealed again when it was mended")
    told.said = f"the file named, nothing sealed, by values and by streams in turn; {harmless} bits changed no value"
    return told
