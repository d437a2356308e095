"""Prove that a store holds what its source files hold, bit by bit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import zarr
from zarr.types import AnyArray

from cmip6zarr.catalogue.dataset import Published
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.progress import Progress
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.proof import Proof
from cmip6zarr.store import zarr_store
from cmip6zarr.store.interface import Home
from cmip6zarr.store.ledger import COPIED
from cmip6zarr.verify import default_fill
from cmip6zarr.verify.agreement import read_files
from cmip6zarr.verify.header import USER_DEFINED
from cmip6zarr.verify.left_out import check_left_out
from cmip6zarr.verify.meaning import plain_attributes
from cmip6zarr.verify.metadata import compare_metadata
from cmip6zarr.verify.opens import check_opens
from cmip6zarr.verify.order import check_order
from cmip6zarr.verify.origin import check_provenance
from cmip6zarr.verify.origin_attribute import check_origin
from cmip6zarr.verify.published import as_published
from cmip6zarr.verify.readers import Readers
from cmip6zarr.verify.source import Files
from cmip6zarr.verify.static import drift
from cmip6zarr.verify.streams import compare_copied
from cmip6zarr.verify.sums import Sums, compare_sums
from cmip6zarr.verify.tally import MOST_NAMED, Policy, Tally
from cmip6zarr.verify.times import clocks
from cmip6zarr.verify.values import BLOCK_BYTES, CONVERT_AGAIN, Part, compare_variable, size_of

DEFAULTS = {"coordinate_tolerance": 1e-12}
"""Of a policy that says nothing; each reason to refuse is `refuse`."""

LEAST_BYTES = 64 * 2**20
"""Values of a dataset that are worth starting processes to read them."""


@dataclass(frozen=True)
class Unproven:
    """A store that is to be proven and is not sealed yet: where it lies, and its open group with each array's metadata.

    `raw` has what the ledger says of the values of each object, {key: raw_xxh3}; `identity` are the attributes that
    name a dataset of its project. `mode` is how it is to be proven: by all values (`full`), or by `streams` where
    chunks were copied. `published` has the checksums that were published of source files, by path. With
    `origin` it must say what it was made of.
    """

    home: Home
    group: zarr.Group
    raw: dict[str, str | None]
    identity: tuple[str, ...]
    mode: str = "full"
    published: Mapping[str, Published] = field(default_factory=dict)
    origin: bool = False

    @cached_property
    def arrays(self) -> dict[str, AnyArray]:
        return dict(self.group.arrays())

    @property
    def unseen(self) -> set[str]:
        """The arrays to be proven by streams where that can be: those of whose values the ledger has no sum."""
        if self.mode != "streams":
            return set()
        chunks = {key: raw for key, raw in self.raw.items() if zarr_store.is_chunk(key)}
        return self.arrays.keys() - {zarr_store.array_of(key) for key, raw in chunks.items() if raw != COPIED}


def prove(
    store: Unproven,
    inventory: Inventory,
    left_out: list[str],
    policy: Policy,
    memory_bytes: int,
    threads: int = 1,
) -> Proof:
    """Return the proof of a store.

    `left_out` are the files of the row that are not in the store; `memory_bytes` bounds what is held at once, by all
    `threads`. Raises
    DatasetError: `chunks`, `source` where store or files cannot be read, `mismatch` with the first differences; Refused
    (`checksum`) for a file that is not the published one.
    """
    chunks_expected = prove_objects(store.home, store.arrays)
    tally = Tally()
    files = read_files(inventory, policy, memory_bytes, store.identity, tally)
    attributes = dict(store.group.attrs)
    if store.origin:
        attributes = check_origin(attributes, inventory.dataset, files, tally)
    compare_metadata(attributes, store.arrays, files, policy, tally)
    if files.time_name and not tally.mismatches:
        check_order(files, files.time_name, tally)
    for path in left_out:
        check_left_out(path, files, policy, tally)
    sums = compare_values(store, files, policy, threads, tally)
    default_fill.note(tally)
    compare_consolidated(store, tally)
    if not tally.mismatches:
        compare_sums(sums, store.raw, tally)
        check_provenance(store.home, inventory, store.arrays, files, tally)
    if not tally.values_compared:
        tally.wrong("no value was compared")
    if not tally.mismatches:
        longest = max((size for array in store.arrays.values() for size in array.shape), default=0)
        check_opens(store.home, inventory.files[0].path, longest, tally)
    if tally.mismatches:
        message = f"{store.home}: {tally.mismatches} differences from its source: {'; '.join(tally.messages)}."
        raise DatasetError("mismatch", message, f"{CONVERT_AGAIN} If it stays, report it as a bug.")
    return Proof(
        dataset=inventory.dataset,
        store=str(store.home),
        mode=store.mode,
        values_compared=tally.values_compared,
        blocks_compared=tally.blocks_compared,
        files_as_published=tally.files_as_published,
        mismatches=tally.mismatches,
        chunks_expected=chunks_expected,
        chunks_missing=0,
        findings=tuple(tally.findings),
        sealed=False,
    )


def is_other_policy(taken: Policy, policy: Policy) -> bool:
    """Tell whether an inventory was taken with a policy that says other things than this one."""
    return any(policy.get(kind, choice) != choice for kind, choice in taken.items())


def compare_values(store: Unproven, files: Files, policy: Policy, threads: int, tally: Tally) -> dict[str, Sums]:
    """Compare every value of every file with the store, and return the sums of the arrays of numbers.

    Of arrays that are `unseen`, values that were copied are compared compressed, and there is no sum. One of `threads`
    compares, the others read the files.
    """
    arrays, unseen = store.arrays, store.unseen
    sums = {name: Sums(array) for name, array in arrays.items() if array.dtype.kind not in "OTU" and name not in unseen}
    ours = clocks({name: dict(array.attrs) for name, array in arrays.items()})
    total = sum(size_of(v) for h in files.headers for v in h.variables.values() if v.kind != USER_DEFINED)
    processes = threads - 1 if total >= LEAST_BYTES else 0
    memory_bytes = files.memory_bytes * 2 // (2 + processes)  # each holds about half as much as this one
    with Readers(files.sources, processes, 2 * BLOCK_BYTES) as readers, Progress("verify", total) as progress:
        for number, (source, file) in enumerate(zip(files.sources, files.ranges, strict=True)):
            theirs = clocks(plain_attributes(source.header))
            with source, as_published(source.header.path, store.published, tally):
                for name in sorted(source.header.variables.keys() & arrays.keys()):
                    if source.header.variables[name].kind == USER_DEFINED:
                        continue
                    pair = (ours[name], theirs[name]) if name in ours and name in theirs else None
                    part = Part(arrays[name], readers, number, file, files.time_name, pair)
                    if name in unseen and (compared := compare_copied(part, tally, progress)) is not None:
                        tally.values_compared += compared
                        tally.covered[name] += part.size
                        continue
                    # What a later file says again of a static variable may drift, so that is judged apart.
                    judged = Tally() if number and part.axis is None else tally
                    summed = sums.get(name) if judged is tally else None
                    count = compare_variable(part, memory_bytes, judged, progress, summed)
                    tally.values_compared += count
                    if judged is tally:
                        tally.covered[name] += count
                    elif judged.mismatches:
                        judge_drift(part, judged, policy, memory_bytes, tally)
    for name, array in arrays.items():
        tally.same(f"{name}: values compared", tally.covered[name], array.size)
    return sums


def judge_drift(part: Part, judged: Tally, policy: Policy, memory_bytes: int, tally: Tally) -> None:
    """Note whether the differences of a static variable, `judged`, are a finding or a mismatch."""
    array, name, variable, path = part.array, part.name, part.variable, part.source.header.path
    problem, is_wider = judged.messages[0], array.dtype.kind == "f" and array.dtype.itemsize != variable.itemsize
    if part.clocks is None and array.shape == variable.shape and size_of(variable) <= memory_bytes // 4:
        expected = part.source.read(name, part.region)
        beyond = drift(np.asarray(array[...]), expected, variable, float(policy["coordinate_tolerance"]))
        if beyond is None:
            message = f"{path}: {name!r} differs from the first file's within policy.coordinate_tolerance"
            tally.note("coordinates", "accept", message, file=path, variable=name)
            return
        problem = f"{problem} ({beyond})"
    # The numbers of another width are kept only where they are the same after rounding.
    if policy.get("coordinates") == "first" and not is_wider:
        tally.note("coordinates", "first", problem, file=path, variable=name)
    else:
        tally.wrong(problem, judged.mismatches)


def prove_objects(home: Home, arrays: dict[str, AnyArray]) -> int:
    """Return how many chunks a store's arrays must have, and have; raises DatasetError (`chunks`) for any other."""
    expected = {key for array in arrays.values() for key in zarr_store.expected_chunks(array)}
    listed = {key for key in zarr_store.list_objects(home) if zarr_store.is_chunk(key)}
    missing, stray = sorted(expected - listed), sorted(listed - expected)
    if missing or stray:
        message = (
            f"{home}: found {len(missing)} of {len(expected)} chunks missing {missing[:MOST_NAMED]} "
            f"and {len(stray)} objects too many {stray[:MOST_NAMED]}, expected none."
        )
        raise DatasetError("chunks", message, CONVERT_AGAIN)
    return len(expected)


def compare_consolidated(store: Unproven, tally: Tally) -> None:
    """Note a mismatch where the consolidated metadata are not those of the group and each array."""
    arrays, consolidated = store.arrays, dict(zarr_store.open_unsealed(store.home, consolidated=True).arrays())
    if store.group.metadata.zarr_format == 2:  # zarr takes the group's own, other readers do not
        held = json.loads(store.home.read(zarr_store.held(".zmetadata")))["metadata"]
        tally.same("consolidated attributes", held.get(".zattrs"), dict(store.group.attrs))
    tally.same("consolidated arrays", sorted(consolidated), sorted(arrays))
    for name in arrays.keys() & consolidated.keys():
        ours, theirs = (each[name].metadata.to_dict() for each in (arrays, consolidated))
        tally.same(f"{name}: consolidated metadata", theirs, ours)
