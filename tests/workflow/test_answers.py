"""The experiments: commands are measured rightly, and docs/answers.md says what was measured and nothing else."""

import ast
import importlib.util
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from repository import REPOSITORY
from s3.conftest import require_server

import answers
import command_cost
import conversion_cost
import note_listing
import object_store_cost
import wording
from command_cost import Case, run
from questions import QUESTIONS, object_store
from setting import Setting

PAGE = REPOSITORY / "docs" / "answers.md"
FIGURES = PAGE.with_suffix("")


def python(code, **how):
    """A case that runs code in a Python of its own."""
    return Case([sys.executable, "-c", code], **how)


def rss_mib(code, sample=False):
    """The peak memory of code in a Python of its own, as measured from a small process: this one is large."""
    case = f"command_cost.Case([sys.executable, '-c', {code!r}])"
    measuring = f"import sys; sys.path.insert(0, {str(command_cost.EXPERIMENTS)!r}); import command_cost"
    measuring += f"; print(command_cost.run({case}, sample={sample})['rss_mib'])"
    return float(subprocess.run([sys.executable, "-c", measuring], capture_output=True, text=True, check=True).stdout)


def test_memory_is_measured():
    """A command that fills memory has a peak above one that does not, by as much."""
    small, large = (rss_mib(f"b = b'x' * {size << 20}") for size in (20, 120))
    assert 90 < large - small < 110


def test_threads_and_processes_are_counted():
    """Threads of a command, and processes that it starts, are seen while they live."""
    code = "import threading, time; [threading.Thread(target=time.sleep, args=(0.3,)).start() for _ in range(5)]"
    assert command_cost.run(python(code), sample=True)["threads"] == 6
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.3)'])"
    figure = command_cost.run(python(code), sample=True)
    assert (figure["processes"], figure["threads"]) == (2, 2)


def test_memory_of_processes_is_their_sum():
    """What a command and its child hold at a time is added up."""
    held = "b = b'x' * (60 << 20); import time; time.sleep(0.3)"
    code = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {held!r}]); {held}; c.wait()"
    assert 120 < rss_mib(code, sample=True) < 200


def test_environment_and_cores_are_as_asked(monkeypatch):
    """A variable is set or taken away, and the cores are as many as the case says."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    code = "import json, os; print(json.dumps([os.environ.get('A'), os.environ.get('OMP_NUM_THREADS')]))"
    code += "; print(json.dumps({'cores': len(os.sched_getaffinity(0)), 'omp': os.environ.get('OMP_NUM_THREADS')}))"
    figure = command_cost.run(python(code, cores=1, environment={"OMP_NUM_THREADS": None}))
    assert figure["said"] == {"cores": 1, "omp": None}


def test_failure_ends_the_run_unless_it_may_fail():
    """A command that fails is no figure; where it may fail, medians leave it out."""
    with pytest.raises(SystemExit, match="failed with 3"):
        command_cost.run(python("raise SystemExit(3)"))
    runs = [command_cost.run(python("raise SystemExit(3)"), may_fail=True), {"exit": 0, "wall_s": 5.0}]
    assert runs[0]["exit"] == 3
    assert command_cost.median(runs, "wall_s") == 5.0


def test_cases_run_in_turn_and_the_first_round_is_not_counted(tmp_path):
    """Every case runs once a round, and what it writes is gone before it runs again."""
    cases = {}
    for name in "ab":
        folder = tmp_path / name
        order = tmp_path / "order"
        code = f"import os; os.mkdir({str(folder)!r}); open({str(order)!r}, 'a').write({name!r})"
        cases[name] = python(code, written=folder)
    runs = command_cost.interleave(cases, 2)
    assert (tmp_path / "order").read_text() == "ababab"
    assert [len(r) for r in runs.values()] == [2, 2]


def test_words_follow_the_figures():
    """What is faster is called faster, and what is slower is not."""
    assert wording.faster(1, 2) == "faster (0.50 of the time)"
    assert wording.faster(3, 2) == "slower (1.50 of the time)"
    assert wording.faster(1.05, 1) == "as fast (within 10 %)"
    assert wording.smaller(float("nan"), 1) == "not measured"


def test_listing_of_the_note_adds_up():
    """What `pan_du` counts is a folder, its metadata and its chunks, in all arrays whose chunks are known."""
    said = note_listing.arithmetic()
    assert set(said["uncut_extra"].values()) == {said["extra"]} == {said["root_extra"]}
    assert said["whole_files"] * said["per_file"] + said["left_over"] == said["found"]["ta"]


def test_page_is_made_of_its_figures():
    """docs/answers.md says what lies beside it, to the letter; no part of it is a trial's."""
    figures = answers.read(FIGURES)
    assert figures
    assert not any(one["quick"] for one in figures.values())
    assert answers.page(figures, FIGURES.name) == PAGE.read_text()


def schedulers(synchronous_s, threads_s):
    """Figures of the question of schedulers, in which one is faster than the other."""
    seconds = {"synchronous": synchronous_s, "threads": threads_s, "processes": 5.0}
    figure = {"cpu_s": 1.0, "rss_mib": 100.0, "threads": 3, "processes": 1, "exit": 0}
    return {"runs": {f"{n}|{cores}": [figure | {"wall_s": s}] for n, s in seconds.items() for cores in (1, 2)}}


def test_page_follows_its_figures():
    """Where figures turn round, so do the sentences."""
    for pair, word in (((1.0, 2.0), "faster (0.50 of the time)"), ((6.0, 2.0), "slower (3.00 of the time)")):
        one = {"measured": schedulers(*pair), "machine": answers.machine(), "quick": False, "seconds": 1}
        assert f"threads, `synchronous` is {word} on one core" in answers.page({"dask_schedulers": one}, "answers")


def test_plots_are_small_and_the_same_for_the_same_figures(tmp_path):
    """What is drawn twice is the same, and no plot is large."""
    figures = answers.read(FIGURES) | {"dask_schedulers": {"measured": schedulers(1.0, 2.0)}}
    drawn = []
    for _ in range(2):
        answers.draw(figures, tmp_path)
        drawn.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert drawn[0] == drawn[1]
    assert all(len(picture) < 60_000 for picture in drawn[0].values())
    lying = {path.name: path.read_bytes() for path in FIGURES.glob("*.svg")}
    assert set(lying) <= set(drawn[0])


def test_what_was_not_run_says_so():
    """A question without figures has its reason on the page, and no plot."""
    one = {"measured": {"reason": "no server"}, "machine": {}, "quick": False, "seconds": 0}
    assert "Not run: no server." in object_store.words(one["measured"])["answer"]
    assert not answers.drawn(one)


def test_factors_of_the_object_store_are_of_one_round():
    """Ratios are taken round by round, so that a round in which all is slow does not count."""
    figure = {"cpu_s": 1.0, "rss_mib": 100.0, "server_cpu_s": 0.5, "exit": 0}
    seconds = {"disk": (1.0, 10.0, 2.0), "S3": (1.5, 15.0, 3.0)}
    runs = {f"write|{where}": [figure | {"wall_s": s} for s in all_s] for where, all_s in seconds.items()}
    figures = {"layouts": {"32": {"objects": 7, "runs": runs}}, "audit": {"objects": 1, "runs": {}, "requests": {}}}
    row = object_store_cost.costs(figures, "write").splitlines()[-1]
    assert row == "| 32 | 7 | 2.00 / 1.00 / 100 | 3.00 / 1.00 / 100, 0.50 | 1.50 / 1.00 |"
    assert "1.50 of the time to disk" in next(object_store_cost.targets(figures))


@pytest.mark.parametrize(
    ("code", "least", "most"),
    [("while True: pass", 0.1, 5), ("import time; time.sleep(60)", 0, 0.1)],
    ids=["busy", "idle"],
)
def test_cpu_time_of_the_server_is_counted(code, least, most):
    """It is what the server takes while a case runs, not what it took before, and not what the case takes."""
    with subprocess.Popen([sys.executable, "-c", code]) as server:
        try:
            bench = SimpleNamespace(server=SimpleNamespace(process=server))
            time.sleep(0.5)  # to start it is not to be counted
            figure = object_store_cost.Bench.measure(bench, python("import time; time.sleep(1)"))
        finally:
            server.kill()
    assert least <= figure["server_cpu_s"] <= most


@pytest.mark.experiments
def test_requests_to_the_object_store_are_counted(tmp_path):
    """Each object is written with one PUT and read with one GET; opening is not counted as reading; nothing is left."""
    require_server()
    setting = Setting(tmp_path, quick=True)
    folder = object_store_cost.made(setting, 1, 4, (12, 16))
    with object_store_cost.Bench(setting) as bench:
        counted = bench.count(folder, ["--chunks", '{"time": 1}'])
        figures, objects = bench.run_all("S3", folder, ["--chunks", '{"time": 1}'])
        assert bench.server.client.list_buckets()["Buckets"] == []
    assert counted["write|S3"]["PUT"] >= objects
    assert [counted[f"read all|{client}"]["GET"] for client in ("obstore", "s3fs")] == [4, 4]
    assert counted["open|obstore"]["GET"] > 0
    assert figures.keys() > counted.keys()
    assert sum(figure["server_cpu_s"] for figure in figures.values()) > 0
    assert not bench.work.exists()


def missing_names(imports) -> list[tuple[str, str]]:
    """Return which (module, name) of ours are not there: neither a name of the module, nor a module of the group."""
    ours = [(module, name) for module, name in imports if module.split(".")[0] == "cmip6zarr"]
    found = {(module, name): importlib.import_module(module) for module, name in ours}
    return [
        (module, name)
        for (module, name), loaded in found.items()
        if not hasattr(loaded, name) and not importlib.util.find_spec(f"{module}.{name}")
    ]


@pytest.mark.parametrize("path", sorted(command_cost.EXPERIMENTS.rglob("*.py")), ids=lambda path: path.stem)
def test_what_an_experiment_imports_is_there(path):
    """An experiment that few run follows when the package changes."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert not missing_names((node.module, name.name) for node in imports if node.module for name in node.names)


def test_names_that_are_missing_are_found():
    """A name that moved is found; a function and a module are there."""
    assert missing_names(
        [("cmip6zarr.core", "chunks"), ("cmip6zarr.core.chunks", "MIB"), ("cmip6zarr.catalogue", "chunks")]
    ) == [("cmip6zarr.catalogue", "chunks")]


@pytest.mark.experiments
@pytest.mark.parametrize("name", QUESTIONS)
def test_smallest_form_runs(name, tmp_path, real_data):
    """Each experiment runs, and gives all that its text and its plot need."""
    question = QUESTIONS[name]
    measured = question.measure(Setting(tmp_path, quick=True, rounds=1, real_data=real_data))
    one = {"measured": json.loads(json.dumps(measured)), "machine": answers.machine(), "quick": True, "seconds": 0}
    text = answers.page({name: one}, "answers")
    assert "A quick trial" in text
    assert "{" not in text
    answers.draw({name: one}, tmp_path)
    assert (tmp_path / f"{name}.svg").is_file() == answers.drawn(one)


@pytest.mark.experiments
def test_benchmark_runs(tmp_path):
    """Each row of the benchmark of converting runs, on the smallest files."""
    args = conversion_cost.parse(["--work", str(tmp_path), "--files", "2", "--steps", "4", "--grid", "12", "16"])
    rows = conversion_cost.cases(conversion_cost.make_data(args), conversion_cost.make_data(args, "repacked"))
    for written, command in rows.values():
        assert run(Case(command, written))["exit"] == 0


@pytest.mark.experiments
def test_benchmark_of_the_workflow_runs(tmp_path):
    """Each case of the benchmark of the workflow itself runs, on a few datasets, and says what it should."""
    program = REPOSITORY / "experiments" / "workflow_cost.py"
    command = [sys.executable, program, "--work", tmp_path / "scale", "--datasets", 30, "--new", 3]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    rows = (tmp_path / "scale" / "scale.md").read_text().splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "first look at all receipts, and the tables, 30 datasets",
        "nothing to do, 30 datasets",
        "status, 30 datasets",
        "dry run of 3 new, 30 datasets",
    ]
