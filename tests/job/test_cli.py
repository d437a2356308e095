"""What the scripts leave behind, and their exit codes."""

import json
import os
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import make_catalogue, make_dataset
from chain import ID, run_convert, run_inventory, run_verify

import campaign
import convert
import demo
import inventory
import size_report
import verify
from cmip6zarr.catalogue import esm
from cmip6zarr.catalogue.dataset import hand_over
from cmip6zarr.core.errors import DatasetError, Refused
from cmip6zarr.job import cli, in_progress, receipts, request

SCRIPTS = (inventory, convert, verify, size_report, campaign, demo)
RULES = SCRIPTS[:4]


def attempt(results, work, attempt=1, **context):
    args = Namespace(results=str(results), dataset=ID, mode="full", attempt=attempt, bundle=None)
    return cli.attempt("verify", args, work, **context)


def failing(error):
    """Return the work that raises an error."""

    def work():
        raise error

    return work


def receipt(results, rule="verify"):
    return receipts.path_of(results, rule, ID)


def test_success_leaves_a_receipt(tmp_path):
    """Work that returns facts is exit code 0, a receipt with them and what was spent, and no record of failure."""
    receipts.write(receipt(tmp_path, "failed"), {"class": "bug"})

    def work():
        time.sleep(0.05)
        return {"store": "here"}

    assert attempt(tmp_path, work) == cli.OK == 0
    facts = receipts.read(tmp_path, "verify", ID)
    assert (facts["dataset"], facts["store"]) == (ID, "here")
    assert facts["seconds"] >= 0.05
    assert facts["cpu_seconds"] > 0
    assert facts["peak_rss_mib"] > 20
    assert not receipt(tmp_path, "failed").exists()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        pytest.param(DatasetError("source", "it changed.", "Run again."), 1, {"class": "source"}, id="failed"),
        pytest.param(Refused("gap", "a gap.", "Fetch it."), 3, {"class": "refused", "kind": "gap"}, id="refused"),
    ],
)
def test_known_reason_is_recorded(tmp_path, capsys, error, code, words):
    """A reason that is known is an exit code, a record with message, remedy and context, one line, and no receipt."""
    receipts.write(receipt(tmp_path), {"old": True})
    assert attempt(tmp_path, failing(error), row="abc") == code
    assert not receipt(tmp_path).exists()
    assert receipts.read(tmp_path, "failed", ID) == words | {
        "dataset": ID,
        "rule": "verify",
        "message": error.message,
        "remedy": error.remedy,
        "row": "abc",
    }
    captured = capsys.readouterr()
    assert captured.err == f"verify: {ID} {'refused' if code == 3 else 'failed'}: {error}\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("8 GiB"), "memory"),
        (FileNotFoundError("gone"), "store"),
        (OSError(28, "No space left on device"), "space"),
        (OSError(122, "Disk quota exceeded"), "space"),
        (OSError(5, "Input/output error"), "store"),
        (KeyboardInterrupt(), "cancelled"),
        (ZeroDivisionError("division by zero"), "bug"),
        (SystemExit(5), "bug"),
    ],
)
def test_unknown_reason_is_recorded_and_raised(tmp_path, error, kind):
    """What nobody expected is recorded with its class, and raised so that the log has the traceback."""
    receipts.write(receipt(tmp_path), {"old": True})
    with pytest.raises(type(error)):
        attempt(tmp_path, failing(error))
    assert not receipt(tmp_path).exists()
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["class"], record["message"]) == (kind, f"{type(error).__name__}: {error}")


@pytest.mark.parametrize(("kind", "tries"), [("source", 1), ("refused", 1), ("store", 2), ("busy", 2)])
def test_an_answer_is_not_asked_for_again(tmp_path, capsys, kind, tries):
    """A second try of a job does not work where the first ended with an answer, and does where it may pass."""
    error = (Refused if kind == "refused" else DatasetError)(kind, "it changed.", "Run again.")
    tried = []

    def work():
        tried.append(True)
        raise error

    codes = {attempt(tmp_path, work, attempt=number) for number in (1, 2)}
    assert (len(codes), len(tried)) == (1, tries)
    assert "it changed -> Run again." in capsys.readouterr().err
    assert receipts.read(tmp_path, "failed", ID)["class"] == kind
    attempt(tmp_path, work)
    assert len(tried) == tries + 1


def test_what_was_killed_is_tried_again(tmp_path):
    """A record of an earlier run is no answer where the try before this one was killed."""
    attempt(tmp_path, failing(DatasetError("source", "it changed.", "Run again.")))
    in_progress.begin(tmp_path, "verify", ID)
    assert attempt(tmp_path, lambda: {}, attempt=2) == cli.OK


def test_note_while_at_work(tmp_path):
    """While a rule is at work there is a note of it, and afterwards none, however it ended."""
    note = receipt(tmp_path, "running")
    seen = []
    attempt(tmp_path, lambda: seen.append(note.exists()) or {})
    with pytest.raises(ZeroDivisionError):
        attempt(tmp_path, lambda: seen.append(note.exists()) or 1 / 0)
    assert (seen, note.exists()) == ([True, True], False)


def test_work_of_another_process_is_left_alone(tmp_path, capsys):
    """Where another process is at work on the dataset its receipts and its note stay, and no failure is recorded."""
    for rule in request.RULES:
        receipts.write(receipt(tmp_path, rule), {"dataset": ID})
    with in_progress.begin(tmp_path, "verify", ID):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
        assert attempt(tmp_path, failing(AssertionError("it worked"))) == 1
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    assert f"another process is at work on this dataset: verify, process {os.getpid()} on" in capsys.readouterr().err
    assert attempt(tmp_path, lambda: {}) == 0


def test_what_reads_a_store_waits_for_another_process(tmp_path):
    """An audit begins when the size report of the same run is made, and leaves a note of its own."""
    args = Namespace(results=str(tmp_path), dataset=ID, attempt=1, bundle=None)
    seen = []
    note = in_progress.begin(tmp_path, "size_report", ID)
    work = lambda: seen.append(receipts.read(tmp_path, "running", ID)["rule"]) or {}  # noqa: E731
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(cli.attempt, "audit", args, work)
        with pytest.raises(TimeoutError):
            code.result(0.2)
        in_progress.end(tmp_path, ID)
        note.close()
        assert (code.result(10), seen) == (0, ["audit"])
    assert not receipt(tmp_path, "running").exists()


@pytest.mark.parametrize("work", [lambda: {}, failing(DatasetError("source", "it changed.", "Run again."))])
def test_full_disk_is_told_in_a_line(tmp_path, capsys, monkeypatch, work):
    """Where neither receipt nor record can be written the log says why, and nothing is left half written."""

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert attempt(tmp_path, work) == 1
    said = capsys.readouterr().err
    assert f"space: cannot be written: No space left on device ({receipt(tmp_path, 'failed')}) -> Make room" in said
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_old_receipt_goes_before_the_work(tmp_path):
    """While a rule is at work its receipt of last time is gone."""
    receipts.write(receipt(tmp_path), {"old": True})
    seen = []
    attempt(tmp_path, lambda: seen.append(receipt(tmp_path).exists()) or {})
    assert seen == [False]


HOSTILE = (
    "",
    "x",
    "../../x",
    ID + ".more",
    ID + "\n",
    ID.replace("tas", ".."),
    ID.replace("tas", "a/b"),
    f"/{ID}",
    f"{ID}/..",
)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("script", RULES, ids=lambda script: script.__name__)
def test_hostile_id_is_a_usage_error(tmp_path, capsys, script, hostile):
    """An id that is none never becomes a path: exit code 2, and no file."""
    required = ["--store", "s", "--digest", "d"]
    known = {"inventory": required[2:], "convert": required[:2]}.get(script.__name__, [])
    with pytest.raises(SystemExit) as stop:
        script.main([hostile, "--results", str(tmp_path / "r"), *known])
    assert stop.value.code == cli.USAGE == 2
    assert "is not a dataset id: words of letters" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (convert, ["--store", "s", "--zarr-format", "4"]),
        (convert, ["--store", "s", "--codec", "none"]),
        (convert, ["--store", "s", "--chunk-mib", "nan"]),
        (convert, ["--store", "s", "--shard-mib", "inf"]),
        (convert, ["--store", "s", "--zarr-format", "2", "--shard-mib", "1"]),
        (convert, ["--store", "s", "--threads", "many"]),
        (convert, []),
        (inventory, ["--policy", "{}"]),
        (verify, ["--memory-mib", "much"]),
    ],
)
def test_wrong_option_is_a_usage_error(tmp_path, capsys, script, options):
    """Options that are unknown or missing are exit code 2, and leave no record."""
    with pytest.raises(SystemExit) as stop:
        script.main([ID, "--results", str(tmp_path), *options])
    assert (stop.value.code, list(tmp_path.iterdir())) == (2, [])
    assert "usage: " in capsys.readouterr().err


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_help_says_what_a_script_does(capsys, script):
    """Every script explains itself."""
    with pytest.raises(SystemExit) as stop:
        script.main(["--help"])
    assert stop.value.code == 0
    assert script.__doc__.split(",")[0].split(".")[0][:40] in " ".join(capsys.readouterr().out.split())


def test_chain_of_the_rules(tmp_path, capsys):
    """Each rule finds the receipt of the one before and leaves its own; a refused dataset stops at the first."""
    make_dataset(tmp_path / "data")
    listed, store = make_catalogue(tmp_path / "data"), tmp_path / "s.zarr"
    codes = [run_inventory(ID, listed, tmp_path), run_convert(tmp_path, store), run_verify(tmp_path)]
    codes.append(size_report.main([ID, "--results", str(tmp_path)]))
    assert codes == [0, 0, 0, 0]
    assert not receipt(tmp_path, "failed").exists()
    for rule in ("inventory", "convert", "verify", "size_report"):
        assert receipts.read(tmp_path, rule, ID)["dataset"] == ID
    next(tmp_path.glob("data/**/*_185005-185008.nc")).write_text("not a NetCDF file")
    assert run_inventory(ID, listed, tmp_path) == 3
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["rule"], record["class"], record["policy"]) == ("inventory", "refused", {})
    assert "cannot read it" in record["message"]
    assert not receipt(tmp_path, "inventory").exists()
    assert run_inventory(ID, listed, tmp_path, unreadable="leave_out", gap="allow") == 0
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("run", "missing"),
    [(lambda results: run_convert(results, results / "s.zarr"), "inventory"), (run_verify, "inventory")],
)
def test_rule_without_the_receipt_before_fails(tmp_path, run, missing):
    """A rule that is run too early fails and names the receipt that is missing."""
    assert run(tmp_path) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert record["class"] == "receipt"
    assert record["message"].startswith(str(receipt(tmp_path, missing)))


def test_changed_catalogue_is_no_refusal(tmp_path):
    """A row that is no longer what the workflow read is a failure that another run cures."""
    make_dataset(tmp_path / "data")
    hand_over(tmp_path, esm.read_catalogue(make_catalogue(tmp_path / "data")).datasets.values())
    assert inventory.main([ID, "--results", str(tmp_path), "--digest", "0" * 16]) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["class"], record["row"]) == ("catalogue", "0" * 16)
    assert "The catalogue changed after the start" in record["remedy"]


def test_chunks_beyond_the_memory_fail_with_the_number_needed(tmp_path):
    """A dataset that does not fit into the memory fails before anything is written, and says what it needs."""
    make_dataset(tmp_path / "data")
    run_inventory(ID, make_catalogue(tmp_path / "data"), tmp_path)
    rule = json.dumps({"time": 4})
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--memory-mib", 10, "--chunks", rule) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert record["class"] == "memory"
    assert "expected at most memory_mib = 10" in record["message"]
    assert not (tmp_path / "s.zarr").exists()
