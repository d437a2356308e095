"""Say how big one verified dataset became against its NetCDF files, and why; and take a look at it."""

import os
import sys
from pathlib import Path

from cmip6zarr.campaign import findings
from cmip6zarr.catalogue.dataset import handed_over
from cmip6zarr.core import files
from cmip6zarr.job import cli, receipts
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.proof import Proof
from cmip6zarr.model.size_report import Picture, SizeReport
from cmip6zarr.report import extent, picture, quicklook, sizes
from cmip6zarr.store import backend, zarr_store


def size_report(args) -> dict:
    """Measure the sealed store and return the facts of the receipt."""
    inventory = receipts.load(Inventory, args.results, args.dataset)
    verified = receipts.load(Proof, args.results, args.dataset)
    converted = receipts.load(Conversion, args.results, args.dataset)
    home = backend.at(converted.store, args.s3, cli.draft_of(args))
    objects = home.list()
    with zarr_store.quiet():
        group = zarr_store.open_sealed(home)
        arrays = sizes.array_sizes(objects, group, sizes.source_storage(inventory), converted)
        main = sizes.main_variable(inventory, handed_over(args.results, args.dataset))
        seen = see(args, group, inventory, main)
        where = extent.extent(group, inventory, main)
    zarr_bytes, netcdf_bytes = sum(objects.values()), inventory.source_bytes
    causes = sizes.causes(arrays, inventory, zarr_bytes)
    reason = sizes.reason(causes, arrays, inventory, main, converted.codec)
    time = inventory.time
    report = SizeReport(
        dataset=args.dataset,
        store=converted.store,
        files=len(inventory.files),
        nc_path=os.path.commonpath([Path(file.path).parent for file in inventory.files]),
        time_range=f"{time.start}/{time.end}" if time else None,
        shape=" x ".join(map(str, inventory.variables[main].shape)),
        chunks=" x ".join(map(str, converted.chunks[main])),
        codec=converted.codec,
        zarr_format=converted.zarr_format,
        convert_planned_mib=converted.planned_mib,
        convert_peak_rss_mib=converted.peak_rss_mib,
        verified=verified.mode,
        values_compared=verified.values_compared,
        raw_bytes=inventory.raw_bytes,
        netcdf_bytes=netcdf_bytes,
        zarr_bytes=zarr_bytes,
        ratio=round(zarr_bytes / netcdf_bytes, 4),
        objects=len(objects),
        arrays=arrays,
        causes=causes,
        reason=reason,
        findings=sizes.findings(netcdf_bytes, zarr_bytes, reason),
        let_pass=findings.leave(args.results, args.dataset, inventory, verified),
        look=seen,
        extent=where,
    )
    return to_json(report)


def see(args, group, inventory: Inventory, main: str) -> Picture:
    """Leave a picture of a sealed store in `look/`, and return its name there and what was read for it."""
    seen = quicklook.take(group, inventory, main)
    if isinstance(seen, str):
        return Picture(picture=None, message=seen)
    name, time = f"look/{args.dataset}.svg", inventory.time
    files.write_text(Path(args.results, name), picture.svg(seen, time.start if time else "", time.end if time else ""))
    return Picture(picture=name, variable=seen.variable, chunks_read=seen.chunks_read)


def parse(argv):
    return cli.parser(__doc__, "size_report").parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)
    return cli.attempt("size_report", args, lambda: size_report(args))


if __name__ == "__main__":
    sys.exit(main())
