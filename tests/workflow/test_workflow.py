"""The workflow, run as a user types it: what it makes, what it refuses to begin, what a failure leaves behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import clones
import polars as pl
import pytest
import xarray as xr
from builders import FACETS, dataset_id, make_catalogue, make_dataset
from clones import (
    BUNDLED,
    HERE,
    LOTUS,
    RULES,
    A,
    B,
    assert_converted,
    chain,
    changed,
    finish,
    read_rows,
    sources,
    write_rows,
)
from markupsafe import escape

from cmip6zarr.campaign import status
from cmip6zarr.catalogue import drs
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import failures
from cmip6zarr.store import zarr_store

pytestmark = pytest.mark.workflow

SUMMARY = {("summary", "")}
CUT, TAKEN, LONG = (dataset_id(source_id=name) for name in ("CUT", "TAKEN", "LONG"))
# zarr 3 takes no options with a path, and intake-esm passes some unless it is told not to.


@pytest.fixture
def checkout(tmp_path_factory):
    return clones.checkout(tmp_path_factory.getbasetemp())


@pytest.fixture
def campaign(tmp_path_factory):
    return clones.campaign(tmp_path_factory.getbasetemp())


@pytest.fixture
def bundled(tmp_path_factory):
    return clones.bundled(tmp_path_factory.getbasetemp())


def listed(clone):
    """Return the datasets in the table of sizes; the catalogue of stores must hold the same."""
    names = pl.read_csv(clone.results / "sizes.tsv", separator="\t")["dataset"].to_list()
    rows = read_rows(clone.results / "catalogue" / "stores.json")
    assert [".".join(row[facet] for facet in FACETS) for row in rows] == names
    return names


def summary(said):
    """Return how many datasets are in each state, as the campaign prints it."""
    counts = re.search(r"^\d+ datasets: (.+)$", said, re.MULTILINE)[1]
    return {word: int(number) for number, word in (count.split(" ", 1) for count in counts.split(", "))}


def failure(clone, dataset):
    return json.loads((clone.results / "failed" / f"{dataset}.json").read_text())


def test_verbatim_command_converts_everything(campaign):
    """`snakemake --cores 1 --profile lotus --executor local` makes stores that xarray reads like the files."""
    assert_converted(campaign, A, B)
    assert listed(campaign) == [A, B]
    assert not (campaign.results / "failed").exists()


def test_second_run_has_nothing_to_do(campaign):
    """The same command again touches no file, and says how the campaign stands and where the report lies."""
    before = campaign.files()
    *_, nothing, counts, report = campaign.snakemake(*HERE).splitlines()
    assert nothing.startswith("Nothing to be done")
    assert (counts, report) == ("2 datasets: 2 verified", "Report: results/report.html")
    assert campaign.files() == before


def test_report_of_snakemake(campaign, tmp_path):
    """`snakemake --report` holds the report and the tables, with captions, as far as the campaign has made them."""
    campaign.snakemake("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as packed:
        names = sorted(packed.namelist(), key=len)
        told = packed.read(names[0]).decode()
    assert [Path(name).name for name in names] == ["report.html", "sizes.tsv", "stores.csv", "report.html"]
    for words in ("How big each verified dataset became", "compared with its files bit by bit"):
        assert words in told


def test_stores_open_by_their_catalogue(campaign, tmp_path, monkeypatch):
    """intake-esm opens the stores of the catalogue, whatever the working folder, by the ids of datasets or of runs."""
    import intake  # takes seconds, and no other test needs it

    monkeypatch.chdir(tmp_path)
    listing = intake.open_esm_datastore(campaign.results / "catalogue" / "stores.json")
    assert sorted(listing.keys()) == [
        "CMIP6.CMIP.ZZZ.MODEL-A.historical.Amon.gn",
        "CMIP6.CMIP.ZZZ.MODEL-B.historical.Amon.gn",
    ]
    some = listing.search(source_id="MODEL-B")
    [joined] = some.to_dataset_dict(progressbar=False).values()
    [found] = some.to_dataset_dict(progressbar=False, aggregate=False).values()
    with xr.open_zarr(campaign.stores / drs.store_folder(B)) as store:
        for opened in (joined, found):
            xr.testing.assert_equal(opened.isel(member_id=0, drop=True).compute(), store.compute())
    monkeypatch.chdir(campaign.stores)
    beside = intake.open_esm_datastore("catalogue/stores.json")
    assert beside.df["zstore"].tolist() == [f"local://{drs.store_folder(name)}" for name in (A, B)]


def test_profile_resolves_without_slurm(checkout):
    """The verbatim command finds the profile beside the workflow's own, and a dry run of it asks SLURM nothing."""
    said = checkout.snakemake(*LOTUS, "-n")
    assert "Using profiles lotus and workflow specific profile profiles/default" in said
    assert "slurm_partition=standard" in said
    assert "rule bundle" in said


def test_linters_are_content(checkout):
    """Snakemake's own linter and snakefmt have nothing to say."""
    assert "Congratulations" in checkout.snakemake("--lint")
    command = (sys.executable, "-m", "snakefmt", "--check", "Snakefile", "rules")
    run = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_refuses_to_begin(checkout, tmp_path):
    """A wrong configuration or catalogue is one error that names what is wrong, before anything is written."""
    clone = checkout.copy(tmp_path / "clone")
    rows = read_rows(clone.catalogue)
    write_rows(clone.folder / "no_source.csv", [{k: v for k, v in row.items() if k != "source_id"} for row in rows])
    wrong = {
        "chunk=auto": "WorkflowError: unknown key 'chunk': did you mean 'chunks'?\n",
        "s3={secret_access_key: SECRET}": "WorkflowError: unknown key 's3.secret_access_key': ",
        "s3={endpoint_url: 'https://user:SECRET@host'}": "s3.endpoint_url: found what is not shown",
        "policy={unreadble: leave_out}": "did you mean 'policy.unreadable'?",
        "codec=zst": "codec: found 'zst', expected one of balanced",
        "catalogue=nowhere.json": "nowhere.json: cannot be read",
        "catalogue=no_source.csv": "no_source.csv: it has no column source_id",
        "select={source_id: NONE}": "select: no source_id is ['NONE']",
    }
    # All at once: there is nothing that they could take from one another.
    runs = [clone.fork("--config", setting) for setting in wrong]
    for run, named in zip(runs, wrong.values(), strict=True):
        said = finish(run, expect=1)
        assert named in said
        assert said.count("WorkflowError") == 1
        assert "Traceback" not in said
        assert "SECRET" not in said
    assert not clone.results.exists()


def test_names_with_spaces_and_quotes(checkout, tmp_path):
    """Results, stores and catalogue may lie in folders whose names a shell would take apart."""
    clone = checkout.copy(tmp_path / "clone")
    clone.results, clone.stores = clone.folder / "it's a *", tmp_path / 'so "they" say'
    moved = clone.folder / "o'clock 4" / "list.json"
    shutil.copytree(clone.catalogue.parent, moved.parent)
    (moved.parent / "catalogue.json").rename(moved)
    clone.catalogue = moved.parent / "catalogue"
    write_rows(clone.catalogue, read_rows(clone.catalogue)[:2])
    settings = (f"results={clone.results.name}", f"store_root={clone.stores}", f"catalogue={moved}")
    clone.snakemake("--config", *settings)
    assert_converted(clone, A)
    assert listed(clone) == [A]


def test_killed_in_the_middle_of_convert(checkout, tmp_path):
    """Where everything is killed while a store is written the store does not open, and the next run completes it."""
    clone = checkout.copy(tmp_path / "clone")
    (clone.folder / "chunks.yaml").write_text("chunks: {time: 1}")
    make_dataset(tmp_path / "more", source_id="LONG", files=2, steps=100)
    make_catalogue(tmp_path / "more", clone.catalogue)
    store = clone.stores / drs.store_folder(LONG)

    def written():
        return [path for path in (store / "tas").rglob("*") if path.is_file() and zarr_store.is_chunk(path.name)]

    run = clone.start("--configfile", "chunks.yaml")
    while not written():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert not (clone.results / "convert" / f"{LONG}.json").exists()
    assert 0 < len(written()) < 200
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(store)
    clone.snakemake("--unlock")
    clone.snakemake("--rerun-incomplete", "--configfile", "chunks.yaml")
    assert_converted(clone, LONG)
    assert listed(clone) == [LONG]


def test_killed_verify_takes_the_store_from_its_readers(campaign, tmp_path):
    """A store that was verified once, and then was made again without an end, is waiting and in no table."""
    clone = campaign.copy(tmp_path / "clone")
    script = clone.folder / "scripts" / "verify.py"
    script.write_text("import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)\n")
    write_rows(clone.catalogue, read_rows(clone.catalogue)[:-1])
    assert summary(clone.snakemake(*HERE, expect=1)) == {"verified": 1, "waiting": 1}
    assert listed(clone) == [A]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A clone, and what was said when A, CUT (one file cut short) and TAKEN (a foreign folder for a store) were run."""

    def run(clone):
        more = clone.folder.with_name("more")
        for name in ("CUT", "TAKEN"):
            *_, last = make_dataset(more, source_id=name, files=2, steps=2)
            if name == "CUT":
                os.truncate(last, last.stat().st_size // 2)
        write_rows(clone.catalogue, read_rows(clone.catalogue)[:2] + read_rows(make_catalogue(more)))
        (clone.stores / drs.store_folder(TAKEN) / "notes").mkdir(parents=True)
        (clone.folder / "said").write_text(clone.snakemake(*HERE, expect=1))

    clone = clones.run_once(tmp_path_factory.getbasetemp(), "spoilt", run)
    return clone, (clone.folder / "said").read_text()


def test_failures_leave_the_others_complete(spoilt):
    """What is not refused and does not fail is converted and listed; of the rest a record says what to do."""
    clone, said = spoilt
    assert_converted(clone, A)
    assert listed(clone) == [A]
    assert summary(said) == {"verified": 1, "refused": 1, "failed (store)": 1}
    seen = status.look(clone.results)["states"]
    assert {state: number for state, number in seen.items() if number} == {"verified": 1, "refused": 1, "failed": 1}
    for dataset, rule, kind in ((CUT, "inventory", "refused"), (TAKEN, "convert", "store")):
        record = failure(clone, dataset)
        assert (record["rule"], record["class"]) == (rule, kind)
        log = (clone.results / "logs" / rule / f"{dataset}.log").read_text()
        assert str(DatasetError(failures.kind_of(record), record["message"], record["remedy"])) in log
        assert f"{kind.replace('store', 'failed')}: {failures.told(record)} [{dataset}]\n" in said
    rerun = status.rerun("refused", clone.results)
    assert rerun == "snakemake --cores 1 --profile lotus --executor local --config rerun=refused"
    assert read_rows(clone.catalogue)[3]["path"] in failure(clone, CUT)["message"]


def test_report_of_a_failed_run(spoilt):
    """The report is made where datasets failed too, and names them with their remedies."""
    clone, _ = spoilt
    text = (clone.results / "report.html").read_text()
    assert "<title>1 of 3 datasets verified" in text
    for dataset in (CUT, TAKEN):
        assert str(escape(failure(clone, dataset)["remedy"])) in text
    assert (clone.results / "look" / f"{A}.svg").is_file()


def test_next_run_tries_only_what_failed(spoilt, tmp_path):
    """A failed dataset goes on from where it failed, once its cause is gone; a refused one is left alone."""
    clone = spoilt[0].copy(tmp_path / "clone")
    assert clone.plan(*HERE) == chain(TAKEN, rules=RULES[1:]) | SUMMARY
    before = clone.files()
    shutil.rmtree(clone.stores / drs.store_folder(TAKEN))
    assert summary(clone.snakemake(*HERE, expect=1)) == {"verified": 2, "refused": 1}
    assert sources(changed(before, clone.files())) == {"TAKEN"}
    assert_converted(clone, A, TAKEN)
    assert listed(clone) == [A, TAKEN]
    assert [path.stem for path in (clone.results / "failed").iterdir()] == [CUT]


def test_exit_code_is_the_same_on_every_day(spoilt, tmp_path):
    """As long as a listed dataset is not verified the exit code is 1, also where nothing is left to try."""
    clone = spoilt[0].copy(tmp_path / "clone")
    write_rows(clone.catalogue, read_rows(clone.catalogue)[:4])
    for _ in range(2):
        said = clone.snakemake(expect=1)
        assert "1 of 2 datasets are not verified: the exit code is 1." in said
        assert "Traceback" not in said
        assert re.search("refused +1", (clone.results / "summary.txt").read_text())
    write_rows(clone.catalogue, read_rows(clone.catalogue)[:2])
    clone.snakemake()
    assert "Nothing to be done" in clone.snakemake()


def test_remedy_of_a_refusal(spoilt, tmp_path):
    """A refused dataset is asked again when the file that it was refused for has been fetched again."""
    clone = spoilt[0].copy(tmp_path / "clone")
    rows = read_rows(clone.catalogue)[2:4]
    (tmp_path / "cut").mkdir()
    for row in rows:
        row["path"] = shutil.copy2(row["path"], tmp_path / "cut")
    write_rows(clone.catalogue, rows)
    clone.snakemake(expect=1)
    # A run that failed has made the tables, and leaves no mark that says so.
    assert clone.plan() == SUMMARY | {("all", ""), ("campaign", ""), ("datasets", "")}
    *_, whole = make_dataset(tmp_path / "again", source_id="CUT", files=2, steps=2)
    shutil.copy(whole, rows[1]["path"])
    clone.snakemake()
    assert_converted(clone, CUT)


def test_refused_is_asked_again(spoilt):
    """A refused dataset is tried again on demand, and under another policy."""
    for plan in spoilt[0].plans(("--config", "rerun=refused"), ("--config", "policy={unreadable: leave_out}")):
        assert plan >= chain(CUT)


def test_refused_is_asked_again_with_other_files(spoilt, tmp_path):
    """A refused dataset is tried again when its row has changed."""
    clone = spoilt[0].copy(tmp_path / "clone")
    write_rows(clone.catalogue, read_rows(clone.catalogue)[:3])
    assert clone.plan() == chain(CUT)


def test_tables_after_a_failed_run(spoilt, tmp_path):
    """Tables that a failed run has written are brought up to date like those of any other."""
    clone = spoilt[0].copy(tmp_path / "clone")
    write_rows(clone.catalogue, read_rows(clone.catalogue)[2:4])
    clone.snakemake(expect=1)
    assert listed(clone) == []


def test_plan_before_a_run(checkout, spoilt, tmp_path):
    """`snakemake plan` says what is left, with the configuration of the run; it leaves no trace in the results."""
    said = checkout.copy(tmp_path / "clone").snakemake(*HERE, "plan", "--config", "codec=fast")
    assert "2 datasets to do, of 2" in said
    assert "1.29 in the store" in said
    clone = spoilt[0].copy(tmp_path / "spoilt")
    before = clone.files()
    assert "1 datasets to do, of 3" in clone.snakemake("plan")
    assert changed(before, clone.files()) == set()


def test_audit_of_a_campaign(campaign, tmp_path):
    """Every sealed store is audited; one that has rotted is named in the table, and the next run mends just that."""
    clone = campaign.copy(tmp_path / "clone")
    assert "audit: read 2 stores, " in clone.snakemake("audits")
    table = pl.read_csv(clone.results / "audit.tsv", separator="\t")
    assert dict(zip(table["dataset"], table["verdict"], strict=True)) == {A: "sound", B: "sound"}
    chunk = next((clone.stores / drs.store_folder(B)).glob("tas/c/*/*/*"))
    right = chunk.read_bytes()
    chunk.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    said = clone.snakemake("audits", expect=1)
    assert re.search(
        rf"^audit: read 2 stores, \d+ objects, .*; 1 not sound: {re.escape(B)} \(rot\)$", said, re.MULTILINE
    )
    assert not zarr_store.is_sealed(clone.stores / drs.store_folder(B))
    table = pl.read_csv(clone.results / "audit.tsv", separator="\t")
    assert dict(zip(table["dataset"], table["verdict"], strict=True)) == {A: "sound", B: "rot"}
    assert "'tas/c/" in table["message"].to_list()[1]
    assert clone.plan() == chain(B, rules=RULES[1:])
    clone.snakemake()
    assert chunk.read_bytes() == right
    assert_converted(clone, A, B)
    assert "2 stores" in clone.snakemake("audits")


@pytest.mark.parametrize("gone", ["nothing", "memory", "receipts"])
def test_rot_is_mended_by_the_next_run(campaign, tmp_path, gone):
    """So it is where the campaign has one dataset, and whatever is gone of what Snakemake and the rules remember."""
    clone = campaign.copy(tmp_path / "clone")
    write_rows(clone.catalogue, read_rows(clone.catalogue)[:2])
    clone.snakemake()
    chunk = next((clone.stores / drs.store_folder(A)).glob("tas/c/*/*/*"))
    right = chunk.read_bytes()
    chunk.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    clone.snakemake("audits", expect=1)
    if gone == "memory":
        shutil.rmtree(clone.folder / ".snakemake")
    if gone == "receipts":
        for rule in RULES:
            (clone.results / rule / f"{A}.json").unlink(missing_ok=True)
    clone.snakemake()
    assert chunk.read_bytes() == right
    assert_converted(clone, A)
    assert "Nothing to be done" in clone.snakemake()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP], ids=lambda how: how.name)
def test_interrupted_verify_goes_on(checkout, tmp_path, how):
    """After Ctrl-C, or a terminal that was closed, in verify the same command goes on, without a flag."""
    clone = checkout.copy(tmp_path / "clone")
    write_rows(clone.catalogue, read_rows(clone.catalogue)[:2])
    script = clone.folder / "scripts" / "verify.py"
    right = script.read_text()
    script.write_text("import sys, time\nfrom pathlib import Path\n\nPath('begun').touch()\ntime.sleep(15)\n")
    run = clone.start()
    while not (clone.folder / "begun").exists():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.05)
    os.killpg(run.pid, how)
    finish(run, expect=1)
    script.write_text(right)
    # As if the job had outlived the run, and left its receipt after all.
    (clone.results / "verify").mkdir(exist_ok=True)
    (clone.results / "verify" / f"{A}.json").write_text("{}")
    clone.snakemake()
    assert_converted(clone, A)


def test_deleted_store_is_made_again(campaign, tmp_path):
    """A store that is gone is noticed by its receipts, and no other is touched."""
    clone = campaign.copy(tmp_path / "clone")
    shutil.rmtree(clone.stores / drs.store_folder(A))
    before = clone.files()
    clone.snakemake()
    assert sources(changed(before, clone.files())) == {"MODEL-A"}
    assert_converted(clone, A, B)


def test_bundles_where_jobs_go_to_slurm(checkout, tmp_path):
    """Without a word in the configuration there are bundles on SLURM only, else what it says holds everywhere."""
    clone = checkout.copy(tmp_path / "clone")
    for name, datasets in (("none", 0), ("few", 1)):
        (clone.folder / f"{name}.yaml").write_text(f"bundle: {{datasets: {datasets}}}")
    none, few = (("--configfile", f"{name}.yaml") for name in ("none", "few"))
    commands = (LOTUS, HERE, (), (*LOTUS, *none), (*LOTUS, "--config", "codec=fast"), few)
    rules = [{rule for rule, _ in jobs} - {*clones.ENDS} for jobs in clone.plans(*commands)]
    assert rules == [{"bundle"}, {*RULES}, {*RULES}, {*RULES}, {"bundle"}, {"bundle"}]


def test_bundles_do_what_the_rules_do(checkout, bundled, tmp_path):
    """With bundles one job takes all datasets through the rules; only one that is no longer finished runs again."""
    before = checkout.copy(tmp_path / "before")
    (before.folder / "bundles.yaml").write_text("bundle: {datasets: 5}")
    assert {rule for rule, _ in before.plan(*BUNDLED)} == {"bundle", *clones.ENDS}
    clone = bundled.copy(tmp_path / "clone")
    assert_converted(clone, A, B)
    assert listed(clone) == [A, B]
    before = clone.files()
    assert "Nothing to be done" in clone.snakemake(*BUNDLED)
    assert clone.files() == before
    (clone.results / "verify" / f"{B}.json").unlink()
    clone.snakemake(*BUNDLED)
    touched = {name for name in changed(before, clone.files()) if name.startswith(RULES)}
    assert touched == {f"{rule}/{B}.json" for rule in ("verify", "size_report")}
