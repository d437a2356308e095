"""A campaign's receipts without its work: as many datasets as a test wants, in every state, some of them hostile."""

import random

import polars as pl
from builders import dataset_id
from inventories import make_inventory, make_proof

from cmip6zarr.campaign import findings, finished, tables
from cmip6zarr.catalogue import drs
from cmip6zarr.core import files
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import Finding, LeftOut

NAMES = [dataset_id(variable_id=name) for name in ("pr", "tas", "ua")]
ROW = {
    "dataset": NAMES[0],
    "files": 3,
    "shape": "12 x 3 x 4",
    "chunks": "4 x 3 x 4",
    "codec": "balanced",
    "raw_bytes": 576,
    "netcdf_bytes": 10_000,
    "zarr_bytes": 25_000,
    "ratio": 2.5,
    "objects": 19,
    "values_compared": 63,
    "files_as_published": 0,
    "findings": 3,
    "files_left_out": 1,
    "steps_missing": 12,
    "convert_planned_mib": 140,
    "convert_peak_rss_mib": 130,
    "reason": "headers and chunk indexes +15 kB",
}
"""A row of the size table."""

HOSTILE = """</script><script>alert("ha")</script><img src=x onerror="alert('ha')">{{ 7 * 7 }} & "quotes" """
"""What a message may say, since it quotes names and attributes of files."""

REMEDIES = {
    "refused": "Get the missing files, or set policy: gap: allow.",
    "memory": "Run again with more, as in --set-resources convert:mem_mb=16000, or with a smaller memory_mib.",
    "walltime": "Run again, it goes on where it was; or with more, as in --set-resources convert:runtime=2d.",
    "mismatch": "Run again: the dataset will be converted again.",
    "bug": "See the log for the traceback, then run again.",
}
FINDINGS = [
    {"kind": "gap", "policy": "allow", "message": f"{HOSTILE}_1999.nc: found 12 steps left out.", "steps_missing": 12},
    {"kind": "empty", "policy": "leave_out", "message": "b.nc has no step.", "file": f"{HOSTILE}b.nc"},
    {"kind": "default_fill", "policy": "accept", "message": f"'{HOSTILE}': 7 values are netCDF's default fill."},
]
"""What may have been let pass; the last one is verify's."""

LOOK = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 280"><rect width="720" height="280"/></svg>'


def leave(results, rule, name, /, **facts):
    """Leave a receipt of a rule for a dataset, or of its failure."""
    receipts.write(receipts.path_of(results, rule, name), {"dataset": name} | facts)


def make_campaign(results, count: int) -> tuple[dict[str, str], pl.DataFrame, dict[str, str]]:
    """Leave the receipts of `count` datasets.

    Returns {dataset: state}, the table of the verified ones, and {dataset: rule that is at work on it}.
    """
    states, at_work = {}, {}
    drawn = random.Random(count)
    models = ("UKESM1-0-LL", "MIROC6", "CESM2", "IPSL-CM6A-LR", "EC-Earth3", "NorESM2-LM")
    for number in range(count):
        name = dataset_id(
            source_id=models[number % len(models)],
            experiment_id=("historical", "ssp245", "ssp585", "piControl")[number // 6 % 4],
            member_id=f"r{number // 24 + 1}i1p1f1",
            variable_id=("tas", "pr", "ua", "zg", "thetao", "siconc")[drawn.randrange(6)],
            table_id=("Amon", "day", "Omon")[drawn.randrange(3)],
        )
        # One in eight is not verified; of three datasets one is refused.
        state = "refused" if number == 2 else "verified"
        if number > 2 and number % 8 == 0:
            state = ("waiting", *REMEDIES)[number // 8 % 6]
        states[name] = state
        if state == "waiting":
            at_work |= {name: drawn.choice(("inventory", "convert", "verify"))} if number % 3 else {}
        elif state == "verified":
            leave_sizes(results, name, drawn, FINDINGS[: number % 4] if number % 5 == 1 else [])
        else:
            message = (
                f"{name}_185001-189912.nc: found {HOSTILE if number < 200 else 'a gap of 31 days'}, expected none."
            )
            facts = {"rule": "convert", "class": state, "message": message, "remedy": REMEDIES[state]}
            leave(results, "failed", name, **facts)
    return *tables.standings(list(states), finished.table(results)[0], results), at_work


def leave_sizes(results, name, drawn, found):
    """Leave what the rules say of a dataset of which some of FINDINGS were let pass."""
    left_out = (LeftOut(path="b.nc", kind="empty", message=""),) if len(found) > 1 else ()
    inventory = make_inventory(dataset=name, findings=tuple(Finding(**f) for f in found[:2]), left_out=left_out)
    verified = make_proof(dataset=name, findings=tuple(Finding(**f) for f in found[2:]))
    receipts.write(receipts.path_of(results, "inventory", name), to_json(inventory))
    netcdf_bytes = round(10 ** drawn.uniform(4, 11))
    raw_bytes = round(netcdf_bytes * drawn.uniform(1.1, 2.6))
    zarr_bytes = round(netcdf_bytes * drawn.lognormvariate(-0.1, 0.12)) + 8000
    planned = round(110 + min(900, raw_bytes / 2**24))
    chunks = 8 + round(raw_bytes / 2**25)
    spent = {"seconds": 0.2 + raw_bytes / 2**20 / drawn.uniform(150, 400), "cpu_seconds": 0.3 + raw_bytes / 2**20 / 250}
    leave(results, "convert", name, planned_objects=chunks, **spent)
    leave(results, "verify", name, **to_json(verified) | spent)
    leave(
        results,
        "size_report",
        name,
        **{
            "store": drs.store_place("/stores", name),
            "zarr_format": 3,
            "time_range": "185001-201412",
            "nc_path": f"/archive/{name.replace('.', '/')}",
            "files": drawn.randint(1, 165),
            "shape": "1980 x 144 x 192",
            "chunks": "303 x 144 x 192",
            "codec": "balanced",
            "verified": "full",
            "convert_planned_mib": planned,
            "convert_peak_rss_mib": round(planned * drawn.uniform(0.7, 1.01)),
            "values_compared": raw_bytes // 4,
            "raw_bytes": raw_bytes,
            "netcdf_bytes": netcdf_bytes,
            "zarr_bytes": zarr_bytes,
            "ratio": round(zarr_bytes / netcdf_bytes, 4),
            "objects": chunks + 12,
            "arrays": {"tas": {"objects": chunks}},
            "reason": f"codec (balanced for shuffle+zlib) {(zarr_bytes - netcdf_bytes) / 1e6:+.3g} MB",
            "let_pass": to_json(findings.leave(results, name, inventory, verified)),
            "look": {"picture": f"look/{name}.svg"},
            "cpu_seconds": 0.4,
        },
    )
    files.write_text(results / "look" / f"{name}.svg", LOOK)
