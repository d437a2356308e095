"""What the jobs ask for on LOTUS2, and what is refused before anything is submitted."""

import json
import os
import re
from dataclasses import replace

import pytest

from cmip6zarr.job import slurm
from cmip6zarr.job.slurm import Request

GOOD = Request("convert", "mygws", "standard", "short", 1, 1274, 240)


@pytest.mark.parametrize(
    ("cpus", "mem_mb", "minutes", "expected"),
    [
        pytest.param(1, 1000, 30, ("short", 1000, 30), id="small"),
        pytest.param(1, 150_000, 240, ("short", 150_000, 240), id="short-has-more-memory"),
        pytest.param(1, 128_000, 1440, ("standard", 128_000, 1440), id="at-the-limit"),
        pytest.param(1, 128_000, 1441, ("long", 128_000, 1441), id="a-minute-more"),
        pytest.param(1, 128_001, 1440, ("high", 128_001, 1440), id="a-MB-more"),
        pytest.param(2, 1000, 30, ("high", 1000, 30), id="two-CPUs"),
        pytest.param(2, 1000, 10_000, ("high", 1000, 2880), id="two-CPUs-for-a-week"),
        pytest.param(1, 2_000_000, 10_000, ("high", 1_000_000, 2880), id="memory-before-walltime"),
        pytest.param(200, 1000, 30, ("high", 1000, 30), id="refused-later"),
    ],
)
def test_qos_is_chosen_by_need(cpus, mem_mb, minutes, expected):
    """The first QoS that grants CPUs, memory and walltime is taken; what none grants is cut to the limit."""
    assert slurm.granted("standard", cpus, mem_mb, minutes) == expected


def test_what_is_granted_passes():
    """What was chosen in a partition is never refused, whatever the try."""
    for partition in ("standard", "debug"):
        for cpus in (1, 8):
            for doubled in range(20):
                qos, mem_mb, minutes = slurm.granted(partition, cpus, 1274 * 2**doubled, 30 * 2**doubled)
                assert slurm.excess(Request("convert", "mygws", partition, qos, cpus, mem_mb, minutes)) is None


def test_unknown_partition_is_left_alone():
    """Of a partition that LOTUS2 does not have nothing is known: no QoS is chosen, nothing refused."""
    assert slurm.granted("gpu", 64, 10**7, 10**5) == (None, 10**7, 10**5)
    assert slurm.excess(replace(GOOD, partition="gpu", qos=None, cpus=64)) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"qos": "debug"}, "convert: QoS debug on partition standard would wait for ever; expected one of short"),
        ({"partition": "debug"}, "convert: QoS short on partition debug would wait for ever; expected one of debug"),
        ({"qos": None}, "QoS None on partition standard"),
        ({"qos": "standard", "cpus": 2}, "QoS standard would not take 2 CPUs of at most 1"),
        ({"qos": "standard", "minutes": 1441}, "1441 minutes of at most 1440"),
        ({"qos": "standard", "mem_mb": 130_000}, "130000 MB of memory of at most 128000"),
        ({"account": "$LOTUS_ACCOUNT"}, "found LOTUS_ACCOUNT unset"),
        ({"account": ""}, "found LOTUS_ACCOUNT unset"),
        ({"account": "other"}, "found LOTUS_ACCOUNT=other; expected one of mygws, no-project"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value),
)
def test_refused_before_submission(change, told):
    """One error names what was found, what was expected and what to do."""
    with pytest.raises(slurm.LotusError, match=re.escape(told)):
        slurm.check_requests([GOOD, replace(GOOD, **change)], {"mygws", "no-project"})


def test_good_requests_pass():
    """SLURM compares accounts without regard to case, and may keep none."""
    slurm.check_requests([GOOD, replace(GOOD, account="MyGWS")], {"mygws"})
    slurm.check_requests([GOOD], set())
    slurm.check_requests([], set())


def test_walltime_from_bytes():
    """Small datasets take half an hour and what it takes to read them; other rules do not look at bytes."""
    assert slurm.minutes_for("convert", 0) == 30
    assert slurm.minutes_for("convert", slurm.SLOWEST * 60 * 100) == 130
    assert slurm.minutes_for("inventory", 10**15) == slurm.minutes_for("inventory", None)


def test_raw_bytes_of_an_inventory(tmp_path):
    """They are known as soon as there is an inventory, and follow it."""
    path = tmp_path / "inventory.json"
    assert slurm.raw_bytes(path) is None
    for number in (5, 7):
        path.write_text(json.dumps({"raw_bytes": number}))
        os.utime(path, (number, number))
        assert slurm.raw_bytes(path) == number


def test_jobname_is_of_the_results_folder(tmp_path, monkeypatch):
    """It is the same wherever the folder is named from, another for another folder, and one that the plugin takes."""
    monkeypatch.chdir(tmp_path)
    name = slurm.jobname("results")
    assert name == slurm.jobname(tmp_path / "results") != slurm.jobname("other")
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,50}", name)


def test_jobs_of_a_dead_controller():
    """Those of this campaign are named, with rule, dataset and the command that ends them; no others count."""
    rows = [f"{i}|cmip6zarr-aa_{i}|RUNNING|rule_convert_wildcards_D{i}" for i in range(30)]
    others = ["90|cmip6zarr-bb_1|RUNNING|rule_convert_wildcards_X", "91|cmip6zarr-aab_1|PENDING|", "92|bash|RUNNING|"]
    slurm.check_queue("cmip6zarr-aa", lambda *_: "\n".join(others))
    with pytest.raises(slurm.LotusError) as refused:
        slurm.check_queue("cmip6zarr-aa", lambda *_: "\n".join(others + rows))
    told = str(refused.value)
    assert told.startswith("30 jobs of this campaign")
    assert "  0 RUNNING rule_convert D0\n" in told
    assert "... and 10 more" in told
    assert f"scancel {' '.join(str(i) for i in range(30))}\n" in told


def test_no_slurm(monkeypatch):
    """Where there is no SLURM its accounts are unknown, and a queue that does not answer is an error."""
    monkeypatch.setenv("PATH", "")
    assert slurm.accounts_of_user() == set()
    with pytest.raises(slurm.LotusError, match=r"`squeue .*` gave no answer"):
        slurm.check_queue("cmip6zarr-aa")
