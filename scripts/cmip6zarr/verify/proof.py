"""Prove that a store holds what its source files hold, bit by bit."""

import numpy as np
import zarr

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.progress import Progress
from cmip6zarr.model.inventory import Inventory, SourceFile
from cmip6zarr.model.proof import Proof
from cmip6zarr.store import zarr_store
from cmip6zarr.verify import default_fill
from cmip6zarr.verify import header as headers
from cmip6zarr.verify.classic import check_whole
from cmip6zarr.verify.header import USER_DEFINED, Header
from cmip6zarr.verify.left_out import check_left_out
from cmip6zarr.verify.meaning import POLICY, RULE, disagreements, plain_attributes, time_axis
from cmip6zarr.verify.metadata import compare_metadata
from cmip6zarr.verify.opens import check_opens
from cmip6zarr.verify.order import check_order
from cmip6zarr.verify.origin import check_provenance
from cmip6zarr.verify.row import ANEW
from cmip6zarr.verify.source import FETCH, Source
from cmip6zarr.verify.static import drift
from cmip6zarr.verify.sums import Sums, compare_sums
from cmip6zarr.verify.tally import MOST_NAMED, Tally, equal
from cmip6zarr.verify.times import Clock, clocks
from cmip6zarr.verify.values import CONVERT_AGAIN, compare_variable, size_of

DEFAULTS = {"coordinate_tolerance": 1e-12}
"""Of a policy that says nothing; each reason to refuse is `refuse`."""

LIFTED = {"identity": "allow", "encoding": "first", "unseen": "drop", "coordinates": "first"}
"""Kind of disagreement between files -> the policy's choice that lets it be."""


def prove(
    path,
    group: zarr.Group,
    raw: dict[str, str | None],
    inventory: Inventory,
    left_out: list[str],
    policy: dict,
    memory_bytes: int,
) -> Proof:
    """Return the proof of a store whose group is open, with each array's own metadata, and which is not sealed yet.

    `raw` has what the ledger says of the values of each object, {key: raw_xxh3}. `left_out` are the files of the row
    that are not in the store; `memory_bytes` bounds what is held at once. Raises DatasetError: `chunks`, `source` where
    store or files cannot be read, `mismatch` with the first differences.
    """
    arrays = dict(group.arrays())
    chunks_expected = prove_objects(path, arrays)
    tally, files = Tally(), inventory.files
    found = [read_header(file.path) for file in files]
    time_name = time_axis(found[0])
    tally.same("time axis in the inventory", inventory.time.variable if inventory.time else None, time_name)
    for header, file in zip(found, files, strict=True):
        check_tracking_id(header, file, inventory)
        check_agreement(header, found[0], time_name, policy, tally)
    sources = [Source(header) for header in found]
    steps = sum(file.stop - file.start for file in files)
    compare_metadata(dict(group.attrs), arrays, found, time_name, steps, policy, tally)
    if time_name and not tally.mismatches:
        check_order(sources, files, time_name, memory_bytes, tally)
    for name in left_out:
        check_left_out(name, sources, time_name, policy, memory_bytes, tally)
    sums = compare_values(arrays, sources, files, time_name, policy, memory_bytes, tally)
    default_fill.note(tally)
    compare_consolidated(path, arrays, tally)
    if not tally.mismatches:
        compare_sums(sums, raw, tally)
        check_provenance(path, inventory, arrays, sources, time_name, memory_bytes, tally)
    if not tally.values_compared:
        tally.wrong("no value was compared")
    if not tally.mismatches:
        longest = max((size for array in arrays.values() for size in array.shape), default=0)
        check_opens(path, files[0].path, longest, tally)
    if tally.mismatches:
        message = f"{path}: {tally.mismatches} differences from its source: " + "; ".join(tally.messages) + "."
        raise DatasetError("mismatch", message, f"{CONVERT_AGAIN} If it stays, report it as a bug.")
    return Proof(
        dataset=inventory.dataset,
        store=str(path),
        mode="full",
        values_compared=tally.values_compared,
        mismatches=tally.mismatches,
        chunks_expected=chunks_expected,
        chunks_missing=0,
        findings=tuple(tally.findings),
        sealed=False,
    )


def is_other_policy(taken: dict, policy: dict) -> bool:
    """Tell whether an inventory was taken with a policy that says other things than this one."""
    return any(policy.get(kind, choice) != choice for kind, choice in taken.items())


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


def check_agreement(header: Header, first: Header, time_name: str | None, policy: dict, tally: Tally) -> None:
    """Note a mismatch, or a finding where the policy or a rule lets it be, where a file is not as the first one."""
    for kind, lets_pass, message in disagreements(header, first, time_name):
        if lets_pass == RULE:
            tally.note(kind, "accept", message, file=header.path)
        elif lets_pass == POLICY and policy.get(kind) == LIFTED[kind]:
            tally.note(kind, policy[kind], message, file=header.path)
        else:
            tally.wrong(f"{message} [{kind}]")


def compare_values(
    arrays: dict,
    sources: list[Source],
    files: tuple[SourceFile, ...],
    time_name,
    policy: dict,
    memory_bytes: int,
    tally: Tally,
) -> dict[str, Sums]:
    """Compare every value of every file with the store, {name: zarr.Array}, and return the sums of those of numbers."""
    sums = {name: Sums(array) for name, array in arrays.items() if array.dtype.kind not in "OTU"}
    ours = clocks({name: dict(array.attrs) for name, array in arrays.items()})
    total = sum(size_of(v) for s in sources for v in s.header.variables.values() if v.kind != USER_DEFINED)
    with Progress("verify", total) as progress:
        for number, (source, file) in enumerate(zip(sources, files, strict=True)):
            theirs = clocks(plain_attributes(source.header))
            with source:
                for name in sorted(source.header.variables.keys() & arrays.keys()):
                    if source.header.variables[name].kind == USER_DEFINED:
                        continue
                    pair = (ours[name], theirs[name]) if name in ours and name in theirs else None
                    is_static = time_name not in source.header.variables[name].dims
                    # What a later file says again of a static variable may drift, so that is judged apart.
                    judged = Tally() if number and is_static else tally
                    summed = sums.get(name) if judged is tally else None
                    count = compare_variable(
                        arrays[name], source, file, time_name, pair, memory_bytes, judged, progress, summed
                    )
                    tally.values_compared += count
                    if judged is tally:
                        tally.covered[name] += count
                    elif judged.mismatches:
                        judge_drift(arrays[name], source, judged, pair, policy, memory_bytes, tally)
    for name, array in arrays.items():
        tally.same(f"{name}: values compared", tally.covered[name], array.size)
    return sums


def judge_drift(
    array: zarr.Array,
    source: Source,
    judged: Tally,
    pair: tuple[Clock, Clock] | None,
    policy: dict,
    memory_bytes: int,
    tally: Tally,
) -> None:
    """Note whether the differences of a static variable, `judged`, are a finding or a mismatch."""
    name = array.name.lstrip("/")
    variable, path = source.header.variables[name], source.header.path
    problem, is_wider = judged.messages[0], array.dtype.kind == "f" and array.dtype.itemsize != variable.itemsize
    if pair is None and tuple(array.shape) == variable.shape and size_of(variable) <= memory_bytes // 4:
        expected = source.read(name, tuple(slice(0, size) for size in variable.shape))
        problem = drift(np.asarray(array[...]), expected, variable, policy["coordinate_tolerance"])
        if problem is None:
            message = f"{path}: {name!r} differs from the first file's within policy.coordinate_tolerance"
            tally.note("coordinates", "accept", message, file=path, variable=name)
            return
        problem = f"{judged.messages[0]} ({problem})"
    # The numbers of another width are kept only where they are the same after rounding.
    if policy.get("coordinates") == "first" and not is_wider:
        tally.note("coordinates", "first", problem, file=path, variable=name)
    else:
        tally.wrong(problem, judged.mismatches)


def prove_objects(path, arrays: dict) -> int:
    """Return how many chunks a store's arrays must have, and have; raises DatasetError (`chunks`) for any other."""
    expected = {key for array in arrays.values() for key in zarr_store.expected_chunks(array)}
    listed = {key for key in zarr_store.list_objects(path) if zarr_store.is_chunk(key)}
    missing, stray = sorted(expected - listed), sorted(listed - expected)
    if missing or stray:
        message = (
            f"{path}: found {len(missing)} of {len(expected)} chunks missing {missing[:MOST_NAMED]} "
            f"and {len(stray)} objects too many {stray[:MOST_NAMED]}, expected none."
        )
        raise DatasetError("chunks", message, CONVERT_AGAIN)
    return len(expected)


def compare_consolidated(path, arrays: dict, tally: Tally) -> None:
    """Note a mismatch where the consolidated metadata are not each array's own."""
    consolidated = dict(zarr_store.open_unsealed(path, consolidated=True).arrays())
    tally.same("consolidated arrays", sorted(consolidated), sorted(arrays))
    for name in arrays.keys() & consolidated.keys():
        ours, theirs = (each[name].metadata.to_dict() for each in (arrays, consolidated))
        tally.same(f"{name}: consolidated metadata", theirs, ours)
