"""The configuration: its schema says what the code does."""

import json
import re
from dataclasses import asdict

import jsonschema
import pytest
import yaml
from repository import REPOSITORY

import convert
import inventory
import publish
import verify
from cmip6zarr.campaign import configuration
from cmip6zarr.convert import codecs
from cmip6zarr.core import chunks
from cmip6zarr.plan import planning
from cmip6zarr.source.policy import POLICY
from cmip6zarr.store import s3_client

SCHEMA = yaml.safe_load((REPOSITORY / "config" / "config.schema.yaml").read_text())
KEYS = SCHEMA["properties"]
CHOICES = KEYS["policy"]["properties"]
GIVEN = ["--results", "r"]
ROW = ["--digest", "x"]
SCRIPTS = {inventory: ROW, convert: ["--store", "s"], verify: ROW, publish: ["--to", "s"]}
"""Scripts that are told settings, and what they must be told."""


def walk(properties, path=()):
    """Yield every key of the schema, (path, what is said of it)."""
    for name, said in properties.items():
        yield (*path, name), said
        yield from walk(said.get("properties", {}), (*path, name))


def valid(config):
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(config)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"s3": {"secret_access_key": "SECRET"}}, "unknown key 's3.secret_access_key': .* Credentials come from"),
        ({"s3": "SECRET"}, "s3: .* expected object"),
        ({"s3": ["SECRET"]}, "s3: .* expected object"),
        ({"s3": {"endpoint_url": "https://me:SECRET@host"}}, "s3.endpoint_url: .*: Address of the store"),
        ({"s3": {"profile": {"secret": "SECRET"}}}, "s3.profile: .* expected string"),
        ({"s3": {"concurrency": "SECRET"}}, "s3.concurrency: .* expected integer"),
        ({"store_root": "https://me:SECRET@host"}, "store_root: .*: Folder of the stores"),
        ({"aws_secret_access_key": "SECRET"}, "unknown key 'aws_secret_access_key'"),
        ({"access": {"s3": "SECRET"}, "s3": {"profile": "SECRET"}}, "unknown key 'access'"),
    ],
)
def test_no_value_that_may_be_secret_is_told(config, named):
    """A secret in the wrong place is refused by its key; Snakemake would print it."""
    said = configuration.fault(config, SCHEMA)
    assert re.match(named, said)
    assert "SECRET" not in said


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"catalog": "x", "codec": "zst"}, "unknown key 'catalog': did you mean 'catalogue'?"),
        ({"policy": {"unreadble": "refuse"}}, "unknown key 'policy.unreadble': did you mean 'policy.unreadable'?"),
        ({"replace": {"codc": "fast"}}, "unknown key 'replace.codc': did you mean 'replace.codec'?"),
        ({"codec": "balnced"}, "codec: found 'balnced', expected one of balanced, .*. Did you mean 'balanced'?"),
        ({"memory_mib": 100}, "memory_mib: found 100, expected at least 256."),
        ({"zarr_format": 2, "shard_mib": 64}, "shard_mib: found 64, expected 0, for Zarr v2 has no shards"),
        (
            {"chunks": {"time": "4"}},
            "chunks: found {'time': '4'}, expected .* takes a number for text: set it",
        ),
        ({"select": {"limit": "3"}}, "select.limit: found '3', expected integer. Within braces"),
        ({"chunks": "x" * 9999}, "chunks: found 'xxx"),
        ({"settings": [{"select": {"table_id": "day"}, "codec": "fats"}]}, "settings.0.codec: .* mean 'fast'?"),
        ({"settings": [{"select": {}, "codec": "fast"}]}, "settings.0.select: found {}"),
        ({"settings": [{"select": {"table_id": "day"}}]}, "settings.0: found .* at least one setting"),
        ({"settings": [{"select": {"table_id": "day"}, "verify": "full"}]}, "unknown key 'settings.0.verify'"),
        (
            {"zarr_format": 3, "shard_mib": 64, "settings": [{"select": {"table_id": "day"}, "zarr_format": 2}]},
            "settings.0.shard_mib: found 64, expected 0, for Zarr v2 has no shards",
        ),
        ({"xyz": 1}, "unknown key 'xyz': expected one of catalogue, title, select"),
    ],
)
def test_fault_is_a_line_that_helps(config, said):
    """What is wrong is told in one line, keys before values, with what was probably meant."""
    told = configuration.fault(config, SCHEMA)
    assert re.match(said, told)
    assert "\n" not in told
    assert len(told) < 400


def test_sound_configuration_has_no_fault():
    """What the schema takes is not refused."""
    assert configuration.fault({"s3": {"profile": "mine"}, "codec": "fast"}, SCHEMA) is None


def test_schema_is_one():
    """The schema itself is valid, and knows every key."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "said"), list(walk(KEYS)), ids=lambda value: ".".join(value) if type(value) is tuple else ""
)
def test_every_key_says_what_it_is(path, said):
    """Every key has a description, and every one but a selection has a default that is valid."""
    assert len(said["description"]) > 10
    if path[0] == "select" and len(path) > 1:
        return
    jsonschema.Draft202012Validator(said).validate(said["default"])


def test_policy_is_that_of_the_code():
    """The choices of the schema are for the kinds of refusal that the code knows, with the same defaults."""
    assert {kind: choice["default"] for kind, choice in CHOICES.items()} == POLICY


def test_codecs_are_those_of_the_code():
    """What may be chosen is what the code has."""
    assert set(KEYS["codec"]["enum"]) == set(codecs.PRESETS)


def defaults_of(script) -> dict:
    """Return the settings of a script that is told no more than it must be; those of S3 have a test of their own."""
    args = vars(script.parse([".".join("abcdefghij"), *GIVEN, *SCRIPTS[script]]))
    # --bundle names the bundle of a job, and the key of that name says how large they are.
    others = ("results", "catalogue", "s3", "bundle")
    defaults = {key: value for key, value in args.items() if key in KEYS and key not in others}
    return {key: json.loads(value) if key == "policy" else value for key, value in defaults.items()}


def differing(defaults, schema) -> set[str]:
    """Return the settings whose default is another in the schema."""
    return {key for key, value in defaults.items() if value != schema[key]["default"]}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_defaults_are_those_of_the_script(script):
    """A script run by hand does what the workflow does by default, whichever of its settings is looked at."""
    defaults = defaults_of(script)
    assert differing(defaults, KEYS) == set()
    assert all(differing(defaults, KEYS | {key: {"default": object()}}) == {key} for key in defaults)


def test_no_setting_of_a_store_is_left_out():
    """What may be replaced in a sealed store, and the resources of convert, are among the defaults looked at."""
    assert {*KEYS["replace"]["propertyNames"]["enum"], "memory_mib", "threads", "take_over"} <= set(
        defaults_of(convert)
    )


def test_defaults_of_s3_are_those_of_the_code():
    """What the schema says of each key of `s3` is what a script does that is told nothing."""
    assert {key: said["default"] for key, said in KEYS["s3"]["properties"].items()} == asdict(s3_client.Settings())


def test_largest_chunk_that_may_be_asked_for_can_be_written():
    """No allowed `chunk_mib` asks for what cannot be compressed, and the least memory holds the process itself."""
    assert KEYS["chunk_mib"]["maximum"] * chunks.MIB <= chunks.MOST_CHUNK_BYTES
    assert KEYS["memory_mib"]["minimum"] * chunks.MIB > planning.BASE_BYTES + planning.LEAST_SLAB_BYTES


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_configuration_files_are_valid(name):
    """What is shipped passes the schema."""
    assert valid(yaml.safe_load((REPOSITORY / "config" / name).read_text()))


@pytest.mark.parametrize(
    "config",
    [
        {"catalog": "x.json"},
        {"catalogue": ""},
        {"zarr_format": 1},
        {"chunks": {}},
        {"chunks": {"time": 0}},
        {"chunks": "4"},
        {"chunk_mib": 0},
        {"zarr_format": 2, "shard_mib": 64},
        {"codec": "zip"},
        {"memory_mib": 10},
        {"threads": 0},
        {"policy": {"gap": "leave_out"}},
        {"policy": {"gaps": "allow"}},
        {"policy": {"coordinate_tolerance": -1}},
        {"select": {"limit": 0}},
        {"zarr_format": 2, "shard_mib": 8},
        {"results": "a{b}"},
        {"store_root": "s3://B/stores"},
        {"store_root": "s3://bucket/../stores"},
        {"store_root": "gs://bucket/stores"},
        {"store_root": "s3:/bucket/stores"},
        {"s3": {"secret_access_key": "x"}},
        {"s3": {"endpoint_url": "https://key:secret@host"}},
        {"s3": {"concurrency": 0}},
    ],
    ids=str,
)
def test_wrong_configuration_is_refused(config):
    """A misspelled key or a value out of range does not pass."""
    assert not valid(config)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"chunks": {"time": 4}},
        {"select": {"variable_id": ["tas", "pr"], "limit": 3}},
        {"shard_mib": 0.5},
        {"store_root": "s3://bucket/some/stores"},
        {"s3": {"endpoint_url": "http://127.0.0.1:8333"}},
    ],
    ids=str,
)
def test_right_configuration_passes(config):
    """What the documentation shows passes."""
    assert valid(config)
