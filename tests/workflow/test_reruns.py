"""What is done again when something changes, and above all what is not: a needless conversion costs hours."""

import json
import os

import clones
import pytest
import xarray as xr
import zarr
from builders import dataset_id, make_catalogue, make_dataset
from clones import HERE, RULES, TABLES, A, B, assert_converted, chain, changed, read_rows, sources, write_rows

from cmip6zarr.catalogue import drs
from cmip6zarr.job import receipts

pytestmark = pytest.mark.workflow

C = dataset_id(source_id="MODEL-C")
NOTHING = set()


@pytest.fixture
def checkout(tmp_path_factory):
    return clones.checkout(tmp_path_factory.getbasetemp())


@pytest.fixture
def clone(tmp_path_factory, tmp_path):
    """A copy of the clone in which A and B have been converted."""
    return clones.campaign(tmp_path_factory.getbasetemp()).copy(tmp_path / "clone")


def add(clone, folder, **settings):
    """Add the rows of a dataset, made below `folder`, to the catalogue of a clone."""
    make_dataset(folder, **settings)
    write_rows(clone.catalogue, read_rows(clone.catalogue) + read_rows(make_catalogue(folder)))


def test_rewritten_code(clone):
    """Scripts, rules and settings that a checkout has written anew, with the same content, are no reason."""
    for name in ("Snakefile", "scripts", "rules", "config", "lotus", "envs"):
        for path in (clone.folder / name, *(clone.folder / name).rglob("*")):
            if path.is_file():
                path.write_bytes(path.read_bytes())
    assert clone.plans((), HERE) == [NOTHING, NOTHING]


def test_added_row(clone, tmp_path):
    """One more dataset is one more chain, and the tables; no file of the others is touched."""
    add(clone, tmp_path / "more", source_id="MODEL-C")
    before = clone.files()
    assert "To do: 1 of 3 datasets (1 new)." in clone.snakemake("-n")
    assert clone.plan() == chain(C)
    assert "To do:" not in clone.snakemake()
    touched = changed(before, clone.files())
    assert sources(touched) == {"MODEL-C"}
    assert {f"{rule}/{C}.json" for rule in RULES} | TABLES <= touched
    assert_converted(clone, A, B, C)


def test_changed_row(clone, tmp_path):
    """A dataset that has got one more file is converted again, with the new steps; the others are not."""
    add(clone, tmp_path / "more", source_id="MODEL-B", files=1, steps=3, start=4)
    before = clone.files()
    clone.snakemake()
    touched = changed(before, clone.files())
    assert sources(touched) == {"MODEL-B"}
    assert {f"{rule}/{B}.json" for rule in RULES} | TABLES <= touched
    assert_converted(clone, B)

    # A run names the sealed stores whose sources are others since, and leaves them; the remedy that it names works.
    (file,) = (tmp_path / "more").rglob("*.nc")
    file.write_bytes(file.read_bytes())
    before = clone.files()
    said = clone.snakemake()
    assert f"1 sealed stores have other sources now: {B} ({file} has changed)." in said
    assert "Nothing to be done" in said
    assert changed(before, clone.files()) == set()
    (clone.results / "inventory" / f"{B}.json").unlink()
    assert "other sources" not in clone.snakemake()
    assert sources(changed(before, clone.files())) == {"MODEL-B"}
    assert "other sources" not in clone.snakemake("-n")


def test_dropped_row(clone):
    """A dataset that is gone from the catalogue is gone from the tables, and nothing else happens."""
    write_rows(clone.catalogue, [row for row in read_rows(clone.catalogue) if row["source_id"] != "MODEL-A"])
    before = clone.files()
    clone.snakemake()
    touched = changed(before, clone.files())
    assert not sources(touched)
    assert touched >= TABLES
    for name in TABLES - {"catalogue/stores.json"}:
        table = (clone.results / name).read_text()
        assert "MODEL-A" not in table
        assert "MODEL-B" in table


def test_withdrawn_version(clone, tmp_path):
    """An older version is marked; unsealed when it is asked for and the newer is sealed; and proven again."""
    newer, store = A.replace("v20200101", "v20210101"), clone.stores / drs.store_folder(A)
    add(clone, tmp_path / "more", version="v20210101")
    assert "1 stores of withdrawn datasets: 1 superseded (results/withdrawn.tsv)" in clone.snakemake()
    rows = read_rows(clone.results / "catalogue" / "stores.json")
    assert {row["version"]: row["latest"] for row in rows if row["source_id"] == "MODEL-A"} == {
        "v20200101": "false",
        "v20210101": "true",
    }
    assert clone.plan() == NOTHING

    unseal = ("--config", "withdrawn=unseal")
    before = clone.files()
    assert "1: superseded dataset, and withdrawn is unseal" in clone.snakemake(*unseal)
    assert not (store / "zarr.json").exists()
    gone = before.keys() - clone.files().keys()
    assert {name for name in gone if not name.startswith("stores/")} == {f"verify/{A}.json"}
    versions = [row["version"] for row in read_rows(clone.results / "catalogue" / "stores.json")]
    assert versions == ["v20210101", "v20200101"]
    assert clone.plan(*unseal) == NOTHING

    assert clone.plan() == chain(A, rules=("verify", "size_report"))
    clone.snakemake()
    assert_converted(clone, A, B, newer)


def test_orphan(clone):
    """The store of a dataset that is no longer listed is named; one that is not selected is none."""
    assert "withdrawn" not in clone.snakemake("--config", "select={source_id: MODEL-B}")
    write_rows(clone.catalogue, [row for row in read_rows(clone.catalogue) if row["source_id"] != "MODEL-A"])
    line = "1 stores of withdrawn datasets: 1 no longer listed (results/withdrawn.tsv)"
    assert line in clone.snakemake()
    assert (clone.stores / drs.store_folder(A) / "zarr.json").is_file()


def test_items_asked_for_later(clone):
    """STAC items of stores that are finished are made with the tables, and nothing else is."""
    before = clone.files()
    clone.snakemake("--config", "stac=True")
    assert not sources(changed(before, clone.files()))
    items = json.loads((clone.results / "catalogue" / "stores.stac.json").read_text())["features"]
    assert [item["id"] for item in items] == [A, B]
    assert clone.plan("--config", "stac=True") == NOTHING


def test_moved_catalogue(clone):
    """Neither the order of the rows nor where the catalogue lies matters, to a dataset or to the tables."""
    write_rows(clone.catalogue, read_rows(clone.catalogue)[::-1])
    clone.catalogue.parent.rename(clone.folder / "elsewhere")
    assert clone.plan("--config", "catalogue=elsewhere/catalogue.json") == NOTHING


def test_missing_receipt(clone):
    """Where a run was killed before it made a receipt that there was, the chain goes on from there."""
    (clone.results / "convert" / f"{A}.json").unlink()
    assert clone.plan() == chain(A, rules=RULES[1:])


def test_raised_recipe(clone):
    """A new recipe converts everything again, from inventories that are as they were."""
    module = clone.folder / "scripts" / "cmip6zarr" / "__init__.py"
    text = module.read_text()
    module.write_text(text.replace("\nRECIPE = ", "\nRECIPE = 1000 + "))
    assert module.read_text() != text
    assert clone.plan(*HERE) == chain(A, B, rules=RULES[1:])


def test_how_a_job_is_run(clone):
    """Memory and threads are no property of a store."""
    assert clone.plan("--config", "memory_mib=2048", "threads=2") == NOTHING


def test_settings_of_one_dataset(clone):
    """Another codec, format and chunking for one dataset write its store alone, as asked; then nothing is left."""
    (clone.folder / "own.yaml").write_text(
        "settings:\n- select: {source_id: MODEL-A}\n  codec: fast\n  zarr_format: 2\n  chunks: {time: 1}\n"
        "replace: {codec: [small, fast], zarr_format: 2, chunks: {time: 1}}"
    )
    own = ("--configfile", "own.yaml")
    before = clone.files()
    assert clone.plan(*own) == chain(A, rules=RULES[1:])
    clone.snakemake(*own)
    assert sources(changed(before, clone.files())) == {"MODEL-A"}
    assert_converted(clone, A, B)
    stores = [zarr.open_group(clone.stores / drs.store_folder(name), mode="r") for name in (A, B)]
    assert [store.metadata.zarr_format for store in stores] == [2, 3]
    assert stores[0]["tas"].chunks[0] == 1
    assert clone.plan(*own) == NOTHING
    assert "settings: no dataset of this run" in clone.snakemake("-n", *own, "--config", "select={source_id: MODEL-B}")


def test_what_a_store_is_like(clone):
    """Codec, format and chunks are: where it is allowed, every store is written again, without another inventory."""
    (clone.folder / "chunks.yaml").write_text("chunks: {time: 1}\nreplace: {chunks: {time: 1}}")
    commands = (
        ("--config", "codec=fast", "replace={codec: fast}"),
        ("--config", "zarr_format=2", "replace={zarr_format: 2}"),
        ("--configfile", "chunks.yaml"),
    )
    for plan in clone.plans(*commands):
        assert plan == chain(A, B, rules=RULES[1:])


def test_stores_that_say_what_they_were_made_of(clone):
    """Where it is allowed all stores say it, with their chunks as they were; to take it back must be allowed too."""
    origin = ("--config", "origin=True")
    clone.snakemake(*origin, "replace={origin: true}")
    for name in (A, B):
        with xr.open_zarr(clone.stores / drs.store_folder(name)) as store:
            said = json.loads(store.attrs["cmip6_zarr"])
        assert (said["dataset"], said["version"]) == (name, receipts.find(clone.results, "", "campaign")["version"])
        assert receipts.find(clone.results, "convert", name)["resumed_shards"] > 0
    assert clone.plan(*origin) == NOTHING
    assert "2 sealed stores would be written again: origin is False, and was True" in clone.snakemake(expect=1)


def test_sealed_stores_are_not_written_again_unasked(clone):
    """A setting that differs stops the run before anything is planned, and so does a permission for another value."""
    before = clone.files()
    own = "--config", "settings=[{select: {source_id: MODEL-A}, codec: fast}]"
    said = clone.snakemake(*own, expect=1)
    assert "1 sealed stores would be written again: codec is fast" in said
    for config in (
        ("codec=fast",),
        ("codec=fast", "replace={codec: small}"),
        ("codec=fast", "replace={chunk_mib: 32}"),
    ):
        said = clone.snakemake("--config", *config, expect=1)
        assert "2 sealed stores would be written again: codec is fast, and was balanced when they were made" in said
        assert "--config 'replace={codec: fast}'" in said
        assert "Traceback" not in said
    assert changed(before, clone.files()) == set()
    for command in (("plan",), ("-n",), ("--unlock",)):  # they write no store
        assert "2 sealed stores would be written again" in clone.snakemake(*command, "--config", "codec=fast")


def test_batches(checkout, tmp_path):
    """A run does a batch, makes the tables, and says how many datasets are left; the same command does the next."""
    clone = checkout.copy(tmp_path / "clone")
    one = ("--config", "batch=1")
    assert clone.plan(*one) == chain(A) | {("summary", "")}
    assert "1 datasets are left" in clone.snakemake(*one, expect=1)
    assert_converted(clone, A)
    before = clone.files()
    assert clone.plan(*one) == chain(B)
    assert "are left" not in clone.snakemake(*one)
    assert sources(changed(before, clone.files())) == {"MODEL-B"}
    assert "MODEL-B" in (clone.results / "sizes.tsv").read_text()
    assert clone.plan(*one) == NOTHING


def test_killed_before_the_tables(clone):
    """Receipts that are younger than the tables, of jobs that outlived their controller, get into the tables."""
    for _ in range(2):  # once more, when the run before had no dataset either
        os.utime(clone.results / "size_report" / f"{B}.json")
        assert clone.plan() == chain()
        clone.snakemake()


def test_edited_receipt(clone):
    """A receipt that was edited is none: the next run makes it again, and a dry run tells."""
    receipt = clone.results / "size_report" / f"{B}.json"
    right = receipt.read_text()
    receipt.write_text(right.replace("balanced", "fast"))
    before = clone.files()
    assert clone.plan() == {("size_report", B), *chain()}
    assert changed(before, clone.files()) == set()  # reading the rules writes and deletes nothing
    clone.snakemake()
    touched = {name for name in changed(before, clone.files()) if name.startswith(RULES)}
    assert touched == {f"size_report/{B}.json"}
    assert "fast" not in receipt.read_text()
    assert clone.plan() == NOTHING


def test_receipts_of_bundles(tmp_path_factory, tmp_path):
    """What bundles have made holds without them, and is made again without them where something else is asked."""
    clone = clones.bundled(tmp_path_factory.getbasetemp()).copy(tmp_path / "clone")
    codec = ("--config", "codec=fast", "replace={codec: fast}")
    holds, codec, verify = clone.plans((), codec, ("--config", "verify=checksums"))
    assert holds == NOTHING
    assert codec == chain(A, B, rules=RULES[1:])
    assert verify == chain(A, B, rules=RULES[2:])


def test_job_looks_at_its_own_dataset_alone(clone):
    """The Snakemake within a job reads no catalogue, but for the one row of an inventory."""
    job = ("--mode", "remote", "--force", "--allowed-rules", "convert", "--target-jobs", f"convert:dataset={A}")
    before = clone.files()
    clone.snakemake(*job, "--config", "catalogue=nowhere.json")
    assert f"convert/{A}.json" in changed(before, clone.files())
    # A row without a name is told by who reads them all.
    write_rows(clone.catalogue, [*read_rows(clone.catalogue), read_rows(clone.catalogue)[0] | {"source_id": "a b"}])
    clone.snakemake(*(word.replace("convert", "inventory") for word in job))
    assert "expected letters" in clone.snakemake()
