"""`make fuzz`: mutated sources, catalogues, lists, settings, receipts and ledgers, and what the scripts say of them.

Writes fuzz.md to the work folder, and keeps there the inputs for which a promise was broken; exits with 1 if there are
any. Each case has a process of its own: the HDF5 library may crash on a file, which is a failure of the dataset.
"""

import argparse
import hashlib
import json
import multiprocessing
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import netCDF4
import numpy as np
import polars as pl
import yaml
from common import ID, ROOT, audit, chain, make_dataset, size_report

import catalogue
import status
from cmip6zarr.campaign import withdrawn
from cmip6zarr.catalogue.dataset import handed_over
from cmip6zarr.catalogue.esm import CatalogueError
from cmip6zarr.convert import hdf5_layout
from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

SCHEMA = yaml.safe_load((ROOT / "config" / "config.schema.yaml").read_text())
HANG_SECONDS = 60
LISTS = ("mapfile", "stac", "project")
KINDS = ("netcdf4", "netcdf3", "catalogue", "checksums", *LISTS, "config", "receipt", "ledger", "withdrawn")
RULES = ("inventory", "convert", "verify", "size_report", "audit")
WORDS = ("../../x", "/etc/passwd", "<b>", "'; rm -rf /", "\0", "", -1, 2**70, None, [], {}, True, 1e308, "nan")


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with a few changes, most of them near the beginning."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        end = len(changed) if chance.random() < 0.4 else min(len(changed), 2000)
        at = chance.randrange(max(1, end))
        size = chance.choice((1, 1, 2, 4, 8, 64))
        way = chance.randrange(6)
        if way == 0 and changed:
            changed[at % len(changed)] ^= 1 << chance.randrange(8)
        elif way == 1:
            changed[at : at + size] = chance.randbytes(size)
        elif way == 2:
            changed[at : at + size] = chance.choice((b"\0", b"\xff")) * size
        elif way == 3:
            del changed[at : at + size]
        elif way == 4:
            changed[at:at] = changed[at : at + size]
        elif chance.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def remade(value, chance: random.Random):
    """Return JSON of which one value, somewhere, is another or is gone."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        rest = {k: v for k, v in value.items() if k != key}
        return rest if chance.random() < 0.2 else value | {key: remade(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], remade(value[at], chance), *value[at + 1 :]]
    return chance.choice(WORDS)


def change(path: Path, chance: random.Random) -> None:
    """Mutate a file, as JSON or as bytes."""
    data = path.read_bytes()
    if path.suffix == ".json" and chance.random() < 0.6:
        path.write_text(json.dumps(remade(json.loads(data), chance)))
    else:
        path.write_bytes(mutated(data, chance))


def base(folder: Path, form: str) -> None:
    """Make a dataset with its catalogue, receipts and sealed store, which cases are copies of."""
    paths = make_dataset(folder / "nc", files=2, steps=3, format=form)
    chain.list_files({ID: paths}, folder / "catalogue.json")
    listed = [(ID, str(path), path.stat().st_size) for path in paths]
    lines = [f"{name} | {path} | {size} | checksum={'0' * 64} | checksum_type=SHA256\n" for name, path, size in listed]
    (folder / "nc" / "x.map").write_text("".join(lines))
    assets = {str(n): {"href": path, "file:size": size} for n, (_, path, size) in enumerate(listed)}
    (folder / "nc" / "x.json").write_text(json.dumps({"features": [{"id": ID, "properties": {}, "assets": assets}]}))
    own = (ROOT / "config" / "projects" / "cordex.yaml").read_text().replace("CORDEX", "OURS").replace("cordex", "ours")
    (folder / "nc" / "x.yaml").write_text(own)
    kinds = {"path": [path for _, path, _ in listed], "size": [size for *_, size in listed]}
    kinds |= {"checksum": [hashlib.sha256(Path(path).read_bytes()).hexdigest() for _, path, _ in listed]}
    kinds |= {"checksum_type": "SHA256", "latest": "true", "retracted": "false"}
    pl.DataFrame(dict(zip(chain.FACETS, ID.split("."), strict=True)) | kinds).write_csv(folder / "nc" / "sums.csv")
    codes = [chain.run_inventory(ID, folder / "catalogue.json", folder / "results")]
    codes += [chain.run_convert(folder / "results", folder / "s.zarr"), chain.run_verify(folder / "results")]
    codes += [script.main([ID, "--results", str(folder / "results")]) for script in (size_report, audit)]
    found = [(ID, "superseded", ID.replace("v2", "v3"), True)]
    withdrawn.keep(folder / "results", pl.DataFrame(found, withdrawn.FOUND, orient="row"))
    codes += [chain.run_campaign(folder / "catalogue.json", folder / "results")]
    if any(codes):
        raise SystemExit(f"the base of the cases cannot be made: {codes}")


def case(kind: str, folder: Path, chance: random.Random) -> str:
    """Spoil one input in a folder, run what reads it, and return in a word what came of it."""
    store, results, paths = folder / "s.zarr", folder / "results", sorted((folder / "nc").rglob("*.nc"))
    if kind == "config":
        config = {key: said.get("default") for key, said in SCHEMA["properties"].items()}
        try:
            jsonschema.Draft202012Validator(SCHEMA).validate(remade(config, chance))
        except jsonschema.ValidationError:
            return "refused by the schema"
        return "valid"
    if kind.startswith("netcdf"):
        change(chance.choice(paths), chance)
        shutil.rmtree(results)
        chain.list_files({ID: paths}, folder / "catalogue.json")
    elif kind == "catalogue":
        change(chance.choice([folder / "catalogue.json", folder / "catalogue.csv"]), chance)
        code = chain.run_campaign(folder / "catalogue.json", results)
        return "read" if code == 0 else "refused"
    elif kind == "checksums":
        change(folder / "nc" / "sums.csv", chance)
        return published(folder)
    elif kind == "withdrawn":
        change(results / chance.choice(["withdrawn.json", "withdrawn.tsv"]), chance)
        code = chain.run_campaign(folder / "catalogue.json", results, *chance.choice([(), ("--unseal",)]))
        return "left out" if code else "refused" if status.main([str(results)]) else "read"
    elif kind in LISTS:
        return listed_by(kind, folder, chance)
    elif kind == "receipt":
        rule = chance.choice(RULES)
        change(receipts.path_of(results, rule, ID), chance)
        if rule in RULES[3:] or chance.random() < 0.3:
            return told_by_campaign(folder)
    else:
        change(folder / "s.zarr.ledger.jsonl", chance)
    hdf5_layout.layouts.cache_clear()
    runs = [lambda: chain.run_convert(results, store), lambda: chain.run_verify(results)]
    if kind.startswith("netcdf"):
        runs.insert(0, lambda: chain.run_inventory(ID, folder / "catalogue.json", results))
    elif chance.random() < 0.5:
        runs = [
            lambda: chain.run_verify(results),
            lambda: size_report.main([ID, "--results", str(results)]),
            lambda: audit.main([ID, "--results", str(results)]),
        ]
    for run in runs:
        if run():
            told_by_campaign(folder)
            return receipts.read(results, "failed", ID)["class"]
    return "verified"


def listed_by(kind: str, folder: Path, chance: random.Random) -> str:
    """Spoil a work list, or the file of a project of one's own, and return whether it is read or refused."""
    change(folder / "nc" / {"mapfile": "x.map", "stac": "x.json", "project": "x.yaml"}[kind], chance)
    argv = ["show", str(folder / "catalogue.json"), "--projects", str(folder / "nc" / "x.yaml")]
    if kind != "project":
        option = {"mapfile": "--mapfiles", "stac": "--stac"}[kind]
        place = folder / "nc" / {"mapfile": "x.map", "stac": "x.json"}[kind]
        argv = ["build", option, str(place), "--out", str(folder / "results" / "built.json")]
    return "refused" if catalogue.main(argv) else "read"


def published(folder: Path) -> str:
    """Compare a catalogue with one that has checksums, then prove a dataset of that; return what came of it."""
    listed, results = folder / "nc" / "sums.csv", folder / "results"
    compared = catalogue.main(["changes", str(folder / "catalogue.json"), str(listed), "--results", str(results)])
    try:
        code = chain.run_inventory(ID, listed, results)
    except CatalogueError:
        return "refused"
    except KeyError:
        return "left out"
    if compared:  # one with too many fields in a row: a selection may not have looked at it
        return "refused"
    if code or chain.run_convert(results, folder / "s.zarr") or chain.run_verify(results):
        return receipts.read(results, "failed", ID)["class"]
    return "verified"


def is_published(folder: Path) -> bool:
    """Tell whether all files of the dataset that was proven last are those that its catalogue has checksums of."""
    row = handed_over(folder / "results", ID)
    told = [(file, said) for file, said in zip(row.files, row.published, strict=False) if said]
    return all(said.checksum == hashlib.new(said.kind, Path(file).read_bytes()).hexdigest() for file, said in told)


def told_by_campaign(folder: Path) -> str:
    """Make the campaign's tables and return how many stores, and audits, they call right."""
    results = folder / "results"
    if chain.run_campaign(folder / "catalogue.json", results):
        return "refused"
    tables = [
        (results / name).read_text().splitlines() for name in ("sizes.tsv", "audit.tsv") if (results / name).exists()
    ]
    return "read" if all(len(lines) > 1 for lines in tables) and len(tables) == 2 else "left out"


def right(folder: Path) -> bool:
    """Tell whether a sealed store holds what the netCDF library reads from the files as they are."""
    facts = receipts.read(folder / "results", "inventory", ID)
    field = zarr_store.open_sealed(folder / "s.zarr")["tas"]
    for file in facts["files"]:
        with netCDF4.Dataset(file["path"]) as nc:
            nc.set_auto_maskandscale(False)
            values = np.asarray(nc["tas"][file["skip"] :])
        if field[file["start"] : file["stop"]].tobytes() != values.astype(field.dtype).tobytes():
            return False
    return True


def run_case(kind: str, origin: Path, folder: Path, seed: int, told) -> None:
    """Run one case on a copy of the base, and send (outcome, what promise was broken)."""
    shutil.copytree(origin, folder, symlinks=True)
    said, broken, word = StringIO(), "", ""
    with redirect_stderr(said), redirect_stdout(said):
        try:
            word = case(kind, folder, random.Random(seed))
            if word == "verified" and not right(folder):
                broken = "a wrong store was sealed"
            elif word == "verified" and kind == "checksums" and not is_published(folder):
                broken = "a store was sealed whose files are not those that were published"
        except SystemExit as stop:
            word, broken = "usage", "" if stop.code in (0, 1, 2, 3) else f"exit {stop.code}"
        except Exception:  # noqa: BLE001  whatever comes out of a script here is what is looked for
            word, broken = "traceback", traceback.format_exc()[-1500:]
    stray = {path.name for path in folder.iterdir()} - {"nc", "results", "catalogue.json", "catalogue.csv", "s.zarr"}
    stray -= {f"s.zarr.{end}" for end in ("provenance.json", "ledger.jsonl")}
    told.send((word, broken or (f"written outside: {stray}" if stray else "")))


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "fuzz", help="folder, emptied first")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)
    # The plots' library takes 2.5 s of each process to make itself, and reads no input.
    sys.modules["vl_convert"] = SimpleNamespace(javascript_bundle=str)
    shutil.rmtree(args.work, ignore_errors=True)
    forms = {"NETCDF4": args.work / "base4", "NETCDF3_CLASSIC": args.work / "base3"}
    outcomes: Counter = Counter()
    broken = []
    fork = multiprocessing.get_context("fork")
    here = args.work / "case"  # where the base is made, so that receipts name the files of the case
    for form, origin in forms.items():
        making = fork.Process(target=base, args=(here, form))  # this process must have no thread that a fork would miss
        making.start()
        making.join()
        here.rename(origin)
    for number in range(args.cases):
        kind = KINDS[number % len(KINDS)]
        origin = forms["NETCDF3_CLASSIC" if kind == "netcdf3" else "NETCDF4"]
        ours, theirs = fork.Pipe(duplex=False)
        child = fork.Process(target=run_case, args=(kind, origin, here, args.seed * 10**6 + number, theirs))
        start = time.perf_counter()
        child.start()
        theirs.close()
        child.join(HANG_SECONDS)
        if child.is_alive():
            child.kill()
            word, what = "hung", f"hung for {HANG_SECONDS} s"
        else:
            try:
                word, what = ours.recv()
            except EOFError:
                word, what = f"crash (signal {-child.exitcode})", ""
                if child.exitcode >= 0:  # it gave up on a library that hangs
                    word = receipts.read(here / "results", "failed", ID)["class"]
        outcomes[kind, word] += 1
        if what:
            kept = args.work / "broken" / f"{number:05d}-{kind}"
            shutil.copytree(here, kept, symlinks=True) if here.exists() else None
            broken.append(f"case {number} ({kind}, {time.perf_counter() - start:.1f} s): {what}")
        shutil.rmtree(here, ignore_errors=True)
    words = sorted({word for _, word in outcomes})
    lines = [["input", *words], ["---"] * (len(words) + 1)]
    lines += [[kind, *(str(outcomes[kind, word] or "") for word in words)] for kind in KINDS]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    (args.work / "fuzz.md").write_text("\n".join([table, "", *broken]) + "\n")
    print(table, *broken, f"{len(broken)} promises broken in {args.cases} cases", sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
