"""The source files of a store, each judged by what its header says."""

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.inventory import Inventory, SourceFile
from cmip6zarr.verify import header as headers
from cmip6zarr.verify.classic import check_whole
from cmip6zarr.verify.header import Header
from cmip6zarr.verify.meaning import POLICY, RULE, disagreements, time_axis
from cmip6zarr.verify.row import ANEW
from cmip6zarr.verify.source import FETCH, Files, Source
from cmip6zarr.verify.tally import Policy, Tally, equal

LIFTED = {"identity": "allow", "encoding": "first", "unseen": "drop", "coordinates": "first"}
"""Kind of disagreement between files -> the policy's choice that lets it be."""


def read_files(
    inventory: Inventory, policy: Policy, memory_bytes: int, identity: tuple[str, ...], tally: Tally
) -> Files:
    """Return the files of an inventory, of which each has been judged by what its header says.

    Raises DatasetError (`source`) where one cannot be read, or is not the one of which the inventory was taken.
    """
    found = [read_header(file.path) for file in inventory.files]
    time_name = time_axis(found[0])
    tally.same("time axis in the inventory", inventory.time.variable if inventory.time else None, time_name)
    files = Files(tuple(map(Source, found)), inventory.files, time_name, memory_bytes, identity)
    for header, file in zip(found, inventory.files, strict=True):
        check_tracking_id(header, file, inventory)
        check_agreement(header, files, policy, tally)
    return files


def read_header(path: str) -> Header:
    """Return the header of a source file; raises DatasetError (`source`) if it cannot be read or is cut off."""
    try:
        header = headers.read(path)
    except (RuntimeError, OSError, UnicodeDecodeError) as error:
        raise DatasetError("source", f"{path}: the netCDF library cannot read it: {error}.", FETCH) from error
    check_whole(header)
    return header


def check_tracking_id(header: Header, file: SourceFile, inventory: Inventory) -> None:
    """Raise DatasetError (`source`) if a file has another tracking_id than when the inventory was taken."""
    expected = inventory.attributes.get("tracking_id")
    for differing in inventory.differing_attributes:
        if (differing.variable, differing.attribute) == ("", "tracking_id"):
            expected = next((v.value for v in differing.values if v.start <= file.start < v.stop), None)
    expected = expected[1] if expected else None
    found = header.attributes["tracking_id"].value if "tracking_id" in header.attributes else None
    if not equal(found, expected.rstrip("\0") if isinstance(expected, str) else expected):
        message = f"{header.path}: found tracking_id {found!r}, expected {expected!r} as in the inventory."
        raise DatasetError("source", message, ANEW)


def check_agreement(header: Header, files: Files, policy: Policy, tally: Tally) -> None:
    """Note a mismatch, or a finding where the policy or a rule lets it be, where a file is not as the first one."""
    for kind, lets_pass, message in disagreements(header, files.first, files.time_name, files.identity):
        if lets_pass == RULE:
            tally.note(kind, "accept", message, file=header.path)
        elif lets_pass == POLICY and policy.get(kind) == LIFTED[kind]:
            tally.note(kind, LIFTED[kind], message, file=header.path)
        else:
            tally.wrong(f"{message} [{kind}]")
