"""What is wrong with a configuration, told without any value that may be a secret put into the wrong place."""

from collections.abc import Mapping
from typing import Any

import jsonschema

from cmip6zarr.job.request import Config


def fault(config: Config, schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the keys of a configuration as a whole, or with its `s3`; None if nothing is.

    Keys are named, values are not: Snakemake's own message, which tells the rest, prints whatever it refuses.
    """
    for error in jsonschema.Draft202012Validator(schema).iter_errors(config):
        path = ".".join(map(str, error.absolute_path))
        if path and path.split(".")[0] != "s3":
            continue
        where = f"Configuration, key {path}: " if path else "Configuration: "
        if error.validator == "additionalProperties":
            known = ", ".join(error.schema["properties"])
            return f"{where}{error.message}. Known keys: {known}. Credentials come from the environment or ~/.aws."
        expected = f"expected {error.validator} {error.validator_value!r}"
        return f"{where}the value, which is not shown, is not as it must be: {expected}."
    return None
