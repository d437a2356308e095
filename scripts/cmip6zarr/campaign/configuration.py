"""What is wrong with a configuration, in a line, without any value that may be a secret put into the wrong place."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import jsonschema

from cmip6zarr.job import settings
from cmip6zarr.job.settings import Config

SECRETS = "Credentials come from the environment or ~/.aws."
IN_A_FILE = "Within braces on the command line Snakemake takes a number for text: set it in a file (--configfile)."


def fault(config: Config, schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a configuration, in a line: the first fault; None if there is none.

    Keys that are not known are named, their values are not, nor those of `s3`: Snakemake's own message prints all.
    """
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(config), key=lambda error: not of_keys(error))
    if errors:
        return told(errors[0], [])
    # An entry may be sound by itself, and not together with what it leaves as it is.
    for number in range(len(config.get("settings", ()))):
        for error in validator.iter_errors(settings.merged(config, number)):
            return told(error, ["settings", str(number)])
    return None


def told(error: jsonschema.ValidationError, within: list[str]) -> str:
    """Return a fault in words; `within` is where the mapping lies that was looked at."""
    path = [*within, *(str(word) for word in error.absolute_path)]
    if of_keys(error):
        return unknown(error, path)
    key, is_secret = ".".join(path) or "configuration", path[:1] == ["s3"] or "@" in str(error.instance)
    found = "what is not shown" if is_secret else f"{error.instance!r:.100}"
    return " ".join([f"{key}: found {found}, expected {expected(error)}.", *hints(error, is_secret)])


def of_keys(error: jsonschema.ValidationError) -> bool:
    """Tell whether a fault is of a key and not of a value."""
    return error.validator == "additionalProperties" or "propertyNames" in error.schema_path


def unknown(error: jsonschema.ValidationError, path: list[str]) -> str:
    """Return which keys are not known, and which were meant."""
    if error.validator == "enum":
        known, wrong = list(error.validator_value), str(error.instance)
    else:
        known = list(error.schema["properties"])
        wrong = next(str(key) for key in error.instance if key not in known)
    key = ".".join((*path, wrong))
    near = get_close_matches(wrong, known, 1)
    meant = f"did you mean {'.'.join((*path, near[0]))!r}?" if near else f"expected one of {', '.join(known)}."
    return f"unknown key {key!r}: {meant} {SECRETS if path[:1] == ['s3'] else ''}".rstrip()


def expected(error: jsonschema.ValidationError) -> str:
    """Return in words what a value must be."""
    value = error.validator_value
    if error.validator == "const" and "then" in error.absolute_schema_path:
        return f"{value!r}, for Zarr v2 has no shards (zarr_format)"
    if error.validator == "enum":
        return "one of " + ", ".join(map(str, value))
    if error.validator == "type":
        return " or ".join([value] if isinstance(value, str) else value)
    limits = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}
    if error.validator in limits:
        return f"{limits[str(error.validator)]} {value}"
    words = str(error.schema.get("description", f"{error.validator} {value}")).removesuffix(".")
    return f"another value: {words}"


def hints(error: jsonschema.ValidationError, is_secret: bool) -> list[str]:
    """Return what else helps to correct a value."""
    if is_secret:
        return [SECRETS]
    choices = map(str, error.validator_value if error.validator == "enum" else ())
    near = get_close_matches(str(error.instance), choices, 1)
    meant = [f"Did you mean {near[0]!r}?"] if near else []
    is_number = any(text.replace(".", "", 1).isdigit() for text in texts(error.instance))
    return meant + ([IN_A_FILE] if is_number and error.validator in ("type", "oneOf") else [])


def texts(value: object) -> list[str]:
    """Return the texts that a value is, or holds."""
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in texts(each)]
    return [value] if isinstance(value, str) else []
