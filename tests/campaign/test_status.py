"""A look at a campaign from outside: what it counts, what it says to do, and that it changes nothing."""

import json
import os
import platform
import subprocess

import pytest
import yaml
from builders import dataset_id
from repository import REPOSITORY

import status as script
from cmip6zarr.campaign import last_run, listed, status
from cmip6zarr.job import in_progress, receipts, slurm

NAMES = [dataset_id(source_id=f"MODEL-{letter}") for letter in "ABCDEFGH"]
VERIFIED, LOST, FAILED, REFUSED, WORKING, GONE, WAITING, AGAIN = NAMES
ESCAPE = "\x1b[2J\u202e\nnext"


def leave(results, folder, name, **facts):
    receipts.write(receipts.path_of(results, folder, name), {"dataset": name} | facts)


def fail(results, name, kind, message="It went wrong.", time=1e9):
    leave(results, "failed", name, rule="convert", message=message, remedy="Mend it.", **{"class": kind})
    os.utime(receipts.path_of(results, "failed", name), (time, time))


def note(results, name, pid=None, **facts):
    started = {"rule": "verify", "started": "2026-11-24T12:00:00+00:00", "host": platform.node(), "slurm_job": None}
    leave(results, in_progress.FOLDER, name, **started | {"pid": pid or os.getpid()} | facts)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results in which each state occurs; one dataset is not listed."""
    monkeypatch.setenv("COLUMNS", "160")
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / listed.DATASETS).write_text("\n".join(NAMES[:-1]))
    for name in (VERIFIED, LOST, AGAIN):
        leave(tmp_path, "size_report", name)
    fail(tmp_path, LOST, "rot", time=2e9)
    fail(tmp_path, FAILED, "memory", ESCAPE)
    fail(tmp_path, REFUSED, "refused", time=1.5e9)
    fail(tmp_path, WORKING, "node")  # the try before
    note(tmp_path, WORKING)
    note(tmp_path, GONE, pid=ended.pid)
    return tmp_path


def told(results, capsys, *options):
    assert script.main([str(results), *options]) == 0
    return capsys.readouterr().out


def test_every_dataset_is_in_one_state(results, capsys):
    """States and classes are counted over what the catalogue lists; what is at work is not what it was before."""
    found = json.loads(told(results, capsys, "--json"))
    assert found["datasets"] == sum(found["states"].values()) == 7
    states = {"verified": 1, "at work": 1, "gone": 1, "waiting": 1, "refused": 1, "failed": 2}
    assert found["states"] == states | {"verified, with findings": 0}
    assert found["classes"] == {"rot": 1, "memory": 1, "refused": 1}
    assert {note["dataset"]: note["alive"] for note in found["at_work"]} == {WORKING: True, GONE: False}
    assert [failure["dataset"] for failure in found["newest_failures"]] == [LOST, REFUSED, FAILED]
    assert found["newest_failures"][0] | {"message": "It went wrong.", "class": "rot"} == found["newest_failures"][0]


def test_findings_are_told(results, capsys):
    """A verified dataset with a record of findings is counted by itself; of one that has failed since it is old."""
    for name in (VERIFIED, LOST, WAITING):
        leave(results, "findings", name, findings=[])
    found = status.look(results)["states"]
    assert (found["verified"], found["verified, with findings"], found["waiting"]) == (0, 1, 1)
    assert "  verified, with findings       1\n" in told(results, capsys)


def test_keys_of_json_are_stable(results, capsys):
    """Programs can rely on the names."""
    found = json.loads(told(results, capsys, "--json"))
    keys = ["results", "time", "datasets", "states", "classes", "rerun", "at_work", "newest_failures", "withdrawn"]
    assert list(found) == keys
    assert set(found["newest_failures"][0]) == {"dataset", "time", "rule", "class", "kind", "message", "remedy"}
    assert set(found["at_work"][0]) >= {"dataset", "rule", "started", "slurm_job", "host", "pid", "alive"}


def test_it_changes_nothing(results, capsys):
    """Not even the note of a process that is gone becomes a record."""

    def files():
        return {path: path.stat().st_mtime_ns for path in results.rglob("*")}

    before = files()
    told(results, capsys)
    assert files() == before


def test_nothing_in_a_message_reaches_the_terminal_as_a_command(results, capsys):
    """Escapes, directions and newlines of hostile text are shown as question marks, and lines are cut to the width."""
    said = told(results, capsys)
    assert "?[2J??next" in said
    assert "\x1b" not in said
    for line in status.lines(status.look(results), 60):
        assert len(line) <= 60 or " snakemake " in line
        assert line.isprintable()


def test_what_to_run_again(results, capsys):
    """Each class has the command of the last run; `rerun` is added for those that the configuration knows."""
    said = told(results, capsys)
    assert "1 memory     snakemake --cores 1 --config rerun=memory\n" in said
    last_run.keep(results, ["--cores", "4", "--config", "results=a b", "--", "x"], {}, "1")
    said = told(results, capsys)
    assert "1 memory     snakemake --cores 4 --config rerun=memory 'results=a b'\n" in said
    assert "1 rot        snakemake --cores 4 --config 'results=a b'\n" in said


def test_reason_comes_before_the_place(results, capsys):
    """What was found is read first, then the file by its name, then the remedy; the dataset has a line of its own."""
    path = f"/archive/{'long/' * 40}tas_1.nc"
    fail(results, FAILED, "source", f"{path}: is cut off: found 3 bytes, expected 9.", time=3e9)
    lines = told(results, capsys).splitlines()
    place = lines.index("  source: is cut off: found 3 bytes, expected 9 (tas_1.nc) -> Mend it.")
    assert lines[place + 1] == f"      {FAILED}  (failed by convert, 2065-01-24T05:20)"


def test_refusal_of_an_older_version_has_its_kind(results, capsys):
    """Its record names the key of the policy in the remedy alone."""
    record = {
        "rule": "inventory",
        "class": "refused",
        "message": "/a/b.nc: a gap.",
        "remedy": "Set policy.gap to allow.",
    }
    leave(results, "failed", REFUSED, **record)
    assert "  gap: a gap (b.nc) -> Set policy.gap to allow.\n" in told(results, capsys)


def test_classes_are_those_of_the_configuration():
    """No class is told that the workflow would not take, and none is forgotten."""
    schema = yaml.safe_load((REPOSITORY / "config" / "config.schema.yaml").read_text())
    assert {"failed", *status.CLASSES} == set(schema["properties"]["rerun"]["enum"])


@pytest.mark.parametrize(("answer", "alive"), [("41\n42\n", [True, True, False]), (None, [None] * 3)])
def test_slurm_is_asked_once(tmp_path, monkeypatch, answer, alive):
    """One question for all notes of jobs; where SLURM gives no answer nobody knows."""
    for number, name in enumerate(NAMES[:3]):
        note(tmp_path, name, slurm_job=str(41 + number), host="elsewhere")
    questions = []

    def ask(*command):
        questions.append(command)
        if answer is None:
            raise slurm.LotusError("no SLURM")
        return answer

    monkeypatch.setattr(slurm, "ask", ask)
    found = status.look(tmp_path)
    assert [one["alive"] for one in found["at_work"]] == alive
    assert len(questions) == 1
    assert found["states"]["gone"] == alive.count(False)


def test_process_on_another_machine_may_be_at_work(tmp_path):
    """What nobody can ask is taken for at work."""
    note(tmp_path, NAMES[0], host="elsewhere")
    assert status.look(tmp_path)["states"]["at work"] == 1


def test_record_that_was_edited(tmp_path):
    """A record that is not as it was written is a failure of its own class."""
    fail(tmp_path, NAMES[0], "memory")
    path = receipts.path_of(tmp_path, "failed", NAMES[0])
    path.write_text(path.read_text().replace("memory", "refused"))
    assert status.look(tmp_path)["classes"] == {"receipt": 1}


def test_many_failures_are_cut(tmp_path):
    """The newest are shown."""
    names = [dataset_id(member_id=f"r{i}i1p1f1") for i in range(30)]
    for time, name in enumerate(names):
        fail(tmp_path, name, "store", time=time)
    found = status.look(tmp_path)
    assert found["states"]["failed"] == 30
    assert [one["dataset"] for one in found["newest_failures"]] == names[: -status.MOST_PRINTED - 1 : -1]


def test_no_results(tmp_path, capsys):
    """A folder that is not there is an error."""
    assert script.main([str(tmp_path / "none")]) == 1
    assert "there is no folder" in capsys.readouterr().err
