"""The commands of the documents: each block of `sh` or `python` is run as a reader types it, or has a reason below."""

import re
import shutil
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import clones
import pytest
import yaml
from builders import make_catalogue, make_dataset
from clones import Clone
from pages import COMMANDS, PAGES, Block, blocks, here, type_in
from repository import REPOSITORY

pytestmark = pytest.mark.workflow

NEEDS = {
    "make": r"^make ",  # .ci/run calls them
    "a bucket": r"s3://|tests/s3/server\.py",  # tests/s3/test_page.py has one
    "SLURM": r"\bsbatch\b",  # pytest -m slurm has a controller that is a job
    "a module": r"^module cmip6zarr:",  # test_elsewhere.py runs one
    "the network": r"^pip install",
}
"""Why a block is not run here, and how such blocks are known."""

OWN_TEST = ("README.md", "docs/operating.md", "docs/other-machines.md")
"""Pages whose commands need files of their own: those of the README are test_newcomer.py's."""


def reason(block: Block) -> str | None:
    """Return why a block is not run here, or None."""
    return next((why for why, known in NEEDS.items() if re.search(known, block.text, re.MULTILINE)), None)


def to_run(page: str) -> list[Block]:
    """Return the blocks of a page that are run."""
    return [block for block in blocks(REPOSITORY / page) if block.language in COMMANDS and not reason(block)]


def run(block: Block, clone: Clone, names: dict | None = None) -> str:
    """Run a block in a clone, which is the current folder, and return what `sh` says; Python has these names."""
    if block.language == "sh":
        return type_in(clone, block.text)
    exec(block.text, {} if names is None else names)  # noqa: S102  what is run is a page of this repository
    return ""


@pytest.fixture
def demo(tmp_path, tmp_path_factory):
    """A clone of its own in which a small demo is done."""
    return clones.demo(tmp_path_factory.getbasetemp()).copy(tmp_path / "clone")


def test_every_block_names_its_language():
    """A command cannot hide in a block without a language, which would be neither run nor excused."""
    known = {*COMMANDS, "text", "yaml", "mermaid"}
    assert [block for page in PAGES for block in blocks(page) if block.language not in known] == []


def test_output_and_settings_are_no_commands():
    """Nothing that looks like a command of ours stands in a block of output."""
    shown = [block.text for page in PAGES for block in blocks(page) if block.language not in COMMANDS]
    assert [text for text in shown if re.search(r"^(snakemake|python|make|export) ", text, re.MULTILINE)] == []


def test_every_reason_is_needed():
    """A reason that no block has any more goes."""
    given = {reason(block) for page in PAGES for block in blocks(page) if block.language in COMMANDS}
    assert given - {None} == set(NEEDS)


@pytest.fixture
def server(demo):
    """The address of a web server that shows the results of the demo."""
    handler = partial(SimpleHTTPRequestHandler, directory=demo.results)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_pages_that_need_nothing(demo, server, monkeypatch):
    """Blocks of the other pages run one after another on the demo; those of Python share their names."""
    monkeypatch.chdir(demo.folder)
    pages = {page.relative_to(REPOSITORY).as_posix() for page in PAGES} - set(OWN_TEST)
    told: dict = {}
    for block in (block for page in sorted(pages) for block in to_run(page)):
        if "xxh128sum" not in block.text or shutil.which("xxh128sum"):
            run(replace(block, text=block.text.replace("https://server", server)), demo, told)
    assert sorted(told["members"].member_id.values) == ["r1i1p1f1", "r2i1p1f1"]
    assert told["members"]["ta"].dims == ("member_id", "time", "lat", "lon")
    assert told["ta"].encoding["chunks"]


def own_catalogue(clone: Clone, name: str) -> None:
    """Leave the catalogue of one dataset in a clone."""
    make_dataset(clone.folder / "own", files=1)
    make_catalogue(clone.folder / "own", clone.folder / name)


def test_running_a_campaign(demo, real_cmip7, monkeypatch):
    """Catalogues that differ, a campaign in a folder of its own, and CMIP7 from a mapfile."""
    own_catalogue(demo, "mine.json")
    own_catalogue(demo, "mine-of-today.json")
    folder = demo.folder.parent
    (folder / "gws" / "mygroup" / "cmip6-tas" / "config").mkdir(parents=True)
    settings = yaml.safe_dump({"catalogue": str(demo.folder / "mine.json")})
    (folder / "gws" / "mygroup" / "cmip6-tas" / "config" / "config.yaml").write_text(settings)
    (folder / "gws" / "mygroup" / "cmip6-zarr").symlink_to(demo.folder)
    (folder / "badc" / "cmip7").mkdir(parents=True)
    (folder / "badc" / "cmip7" / "data").symlink_to(real_cmip7)
    (folder / "data" / "mapfiles" / "cmip7").mkdir(parents=True)
    for listed in real_cmip7.glob("*.map"):
        # Its sizes are of files that were not cut.
        text = listed.read_text().replace("$TEST_DATA", "/esgf/data").replace(" | 134894358", "")
        (folder / "data" / "mapfiles" / "cmip7" / listed.name).write_text(text)
    monkeypatch.chdir(demo.folder)
    said = [run(block, demo) for block in to_run("docs/operating.md")]
    assert any("1 datasets: 1 verified" in text for text in said)
    assert list((folder / "data" / "zarr" / "MIP-DRS7").rglob("zarr.json"))


PBS = {
    "qsub": 'for job; do :; done; id=$(mktemp -p jobs); (sh "$job"; echo $? > $id.code) > $id.log 2>&1 & echo $id',
    "qstat": 'for id; do :; done; [ -f $id.code ] && printf " job_state = F\\n Exit_status = %s\\n" $(cat $id.code)',
}
"""Stand-ins for PBS: a job runs at once, on this machine."""


def test_other_machines(demo):
    """A workstation, a node, another SLURM cluster, and PBS by stand-ins for its commands."""
    own_catalogue(demo, "cmip6.json")
    page = "docs/other-machines.md"
    node, _, pbs = [block.text for block in blocks(REPOSITORY / page) if block.language == "yaml"]
    (demo.folder / "campaign.yaml").write_text(here(node, demo.folder.parent))
    workstation, many_cores, copied, slurm, status, queued = [block.text for block in to_run(page)]
    assert "1 datasets: 1 verified" in type_in(demo, workstation)
    assert "1 datasets: 1 verified" in type_in(demo, many_cores)
    type_in(demo, copied)
    assert "3 datasets: 3 verified" in type_in(demo, slurm)

    (demo.folder / "pbs").mkdir()
    (demo.folder / "pbs" / "config.v8+.yaml").write_text(pbs)
    (demo.folder / "pbs" / "status.sh").write_text(status)
    (demo.folder / "jobs").mkdir()
    for name, text in PBS.items():
        command = demo.folder / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{text}\n")
        command.chmod(0o755)
    shutil.rmtree(demo.results)
    said = type_in(demo, f"PATH=$PWD/bin:$PATH\n{queued}")
    assert "3 datasets: 3 verified" in said
    assert len(list((demo.folder / "jobs").glob("*.code"))) == 1
