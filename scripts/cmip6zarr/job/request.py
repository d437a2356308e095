"""What is asked of each rule: the one list for rules, bundles, command lines, receipts and what is left to do.

Keys of the configuration are options of the scripts, with the type, choices, default and words of the schema.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cmip6zarr import RECIPE
from cmip6zarr.catalogue import drs
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import settings
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.settings import Config
from cmip6zarr.store import s3_client

Options = dict[str, Any]
"""Values by the names of options."""

RULES = ("inventory", "convert", "verify", "size_report")
"""What a dataset passes through, in order; `audit` comes any time later."""

ASKED = {
    "inventory": ("digest",),
    "convert": ("recipe", "store", "zarr_format", "chunks", "chunk_mib", "shard_mib", "codec", "origin"),
    "verify": ("mode",),
}
"""What decides what a rule makes of a dataset. Receipts have it as `asked`; another value is a reason to do it again.

The recipe is that of the code, and no option."""

LATER: Options = {"origin": False}
"""Options that came when there were stores, which are valid still: with this value they are not in `asked`."""

HOW = {
    "inventory": ("policy",),
    "convert": ("s3", "take_over", "memory_mib", "threads"),
    "verify": ("digest", "s3", "policy", "memory_mib", "threads"),
    "size_report": ("s3",),
    "audit": ("s3",),
    "publish": ("s3", "take_over", "memory_mib"),
}
"""How a rule is run, which changes nothing of what it makes. Another policy asks again for what was refused alone."""

OF_DATASET: dict[str, Callable[[Config, Dataset], str]] = {
    "digest": lambda _, row: row.digest,
    "store": lambda config, row: drs.store_place(config["store_root"], row.id),
}
"""Options whose values are of a dataset."""

SCHEMA = Path(__file__).parents[3] / "config" / "config.schema.yaml"

KEYS = {"mode": "verify"}
"""Options whose key of the configuration has another name."""

JSON = ("chunks", "policy", "s3")
"""Keys that are mappings; as an option they are JSON."""


def asked(config: Config, row: Dataset) -> dict[str, Options]:
    """Return {rule: what its receipt for a dataset has under `asked`}, if it was made with this configuration."""
    return asker(config)(row)


def asker(config: Config) -> Callable[[Dataset], dict[str, Options]]:
    """Return a function that does for a dataset what `asked` does, with all that is not of the dataset worked out."""
    names = [name for of_rule in ASKED.values() for name in of_rule if name not in OF_DATASET]

    @cache
    def same(entry: int | None) -> Options:
        of_entry = config if entry is None else settings.merged(config, entry)
        return {name: setting(name, of_entry) for name in names}

    def asked_of(row: Dataset) -> dict[str, Options]:
        values = same(settings.entry(config, row)) | {name: value(config, row) for name, value in OF_DATASET.items()}
        return {rule: asked_of_rule(rule, values) for rule in ASKED}

    return asked_of


def asked_of_rule(rule: str, values: Mapping[str, Any]) -> Options:
    """Return what is asked of a rule, given the values of all options."""
    return {name: values[name] for name in ASKED.get(rule, ()) if name not in LATER or values[name] != LATER[name]}


def how(rule: str, config: Config, row: Dataset) -> Options:
    """Return the other options of a rule."""
    own = settings.of(config, row)
    return {name: value_of(name, own, row) for name in HOW.get(rule, ())}


def value_of(name: str, config: Config, row: Dataset) -> Any:
    """Return the value of an option for a dataset."""
    return OF_DATASET[name](config, row) if name in OF_DATASET else setting(name, config)


def setting(name: str, config: Config) -> Any:
    """Return the value of an option that is the same for all datasets."""
    if name == "recipe":
        return RECIPE
    if name == "s3":
        return s3_client.option(config["s3"])
    value = config[KEYS.get(name, name)]
    return json.dumps(value) if name in JSON and not isinstance(value, str) else value


def words(options: Mapping[str, Any]) -> list[str]:
    """Return options as words of a command line; one that is switched on has no value.

    >>> words({"zarr_format": 3, "take_over": "", "recipe": 1})
    ['--zarr-format', '3', '--take-over', '']
    >>> words({"origin": True})
    ['--origin']
    """
    told = {f"--{name.replace('_', '-')}": value for name, value in options.items() if name != "recipe"}
    return [word for option, value in told.items() for word in ((option,) if value is True else (option, str(value)))]


def command(rule: str, config: Config, row: Dataset, results: Results) -> list[str]:
    """Return the command line of a rule's script for a dataset, without the name of the script."""
    return [row.id, "--results", str(results), *words(asked(config, row).get(rule, {}) | how(rule, config, row))]


def add_options(arguments: argparse.ArgumentParser, rule: str) -> None:
    """Add the options of a rule to the parser of its script."""
    for name in (*ASKED.get(rule, ()), *HOW.get(rule, ())):
        if name == "digest":
            arguments.add_argument("--digest", required=True, help="of the dataset's row when the job was made")
        elif name == "store":
            arguments.add_argument("--store", required=True, help="folder of the store, or its s3://BUCKET/PREFIX")
        elif name == "s3":
            add_s3(arguments)
        elif name != "recipe":
            add_key(arguments, name)


def add_key(arguments: argparse.ArgumentParser, name: str) -> None:
    """Add the option of a key of the configuration, as the schema describes it."""
    said = schema()[KEYS.get(name, name)]
    if said.get("type") == "boolean":
        arguments.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=said["description"])
        return
    kind = {"integer": int, "number": float}.get(said.get("type", ""), str)
    default = said["default"] if name not in JSON else json.dumps(said["default"]).strip('"')
    choices, told = said.get("enum"), said["description"].replace("%", "%%")
    kind = type(choices[0]) if choices else kind
    arguments.add_argument(f"--{name.replace('_', '-')}", type=kind, choices=choices, default=default, help=told)


def add_s3(arguments: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the option that says how a store in a bucket is asked, and return the parser."""
    told = "JSON: the configuration's s3; needed for stores at s3://, where the environment and ~/.aws do not say all"
    arguments.add_argument("--s3", type=s3_client.settings, default="{}", help=told)
    return arguments


@cache
def schema() -> dict[str, dict[str, Any]]:
    """Return the keys of the configuration as the schema describes them."""
    with SCHEMA.open(encoding="utf-8") as file:
        keys: dict[str, dict[str, Any]] = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["properties"]  # noqa: S506
    return keys
