"""What is asked of each rule, in its command line, its receipt and its reasons to be done again."""

import json

import pytest
from builders import dataset_id
from chain import configuration

import convert
import inventory
import size_report
import verify
from cmip6zarr import RECIPE
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import cli, request

SCRIPTS = {"inventory": inventory, "convert": convert, "verify": verify, "size_report": size_report}
ROW = Dataset(dataset_id(), ("a.nc", "b.nc"))
CONFIG = {
    "store_root": "it's here/$HOME",
    "chunks": {"time": 4},
    "chunk_mib": 1.5,
    "shard_mib": 8,
    "codec": "small",
    "origin": True,
    "verify": "checksums",
    "memory_mib": 512,
    "policy": {"gap": "allow"},
    "s3": {"profile": 'my "own"'},
    "take_over": "",
}


@pytest.mark.parametrize("rule", request.RULES)
@pytest.mark.parametrize("change", [{}, CONFIG], ids=["default", "changed"])
def test_command_line_says_what_is_asked(tmp_path, rule, change):
    """A script that is given the command line of a rule notes in its receipt what was asked, and is run as asked."""
    config = configuration(**change)
    args = SCRIPTS[rule].parse(request.command(rule, config, ROW, tmp_path))
    assert (args.dataset, args.results) == (ROW.id, str(tmp_path))
    assert cli.asked(rule, args) == request.asked(config, ROW).get(rule, {})
    how = request.how(rule, config, ROW)
    assert {name: getattr(args, name) for name in how if name != "s3"} == {n: how[n] for n in how if n != "s3"}
    if "policy" in how:
        assert json.loads(args.policy) == config["policy"]
    if "s3" in how:
        assert (args.s3.profile or "") == config["s3"].get("profile", "")


def test_options_that_are_not_given_are_the_defaults_of_the_schema(tmp_path):
    """Who calls a script by hand gets what a configuration gets that says nothing."""
    told = convert.parse([ROW.id, "--results", str(tmp_path), "--store", "s.zarr"])
    asked = request.asked(configuration(), ROW)["convert"] | {"store": "s.zarr"}
    assert cli.asked("convert", told) == asked
    assert asked["recipe"] == RECIPE


def test_every_option_of_a_rule_decides_or_does_not():
    """No option is in both lists."""
    for rule in request.RULES:
        assert not set(request.ASKED.get(rule, ())) & set(request.HOW.get(rule, ()))


def test_option_that_came_later_is_left_out_at_its_default():
    """Receipts and command lines are as they were before the option came, and say so where it is used."""
    assert "origin" not in request.asked(configuration(), ROW)["convert"]
    assert request.asked(configuration(origin=True), ROW)["convert"]["origin"] is True
    assert set(request.LATER) <= {option for options in request.ASKED.values() for option in options}
