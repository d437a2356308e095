"""What is done again when something changes, and above all what is not: a needless conversion costs hours."""

import clones
import pytest
from builders import dataset_id, make_catalogue, make_dataset
from clones import HERE, RULES, TABLES, A, B, assert_converted, chain, changed, read_rows, sources, write_rows

pytestmark = pytest.mark.workflow

C = dataset_id(source_id="MODEL-C")
NOTHING = set()


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
    assert clone.plan() == chain(C)
    clone.snakemake()
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


def test_moved_catalogue(clone):
    """Neither the order of the rows nor where the catalogue lies matters to a dataset."""
    write_rows(clone.catalogue, read_rows(clone.catalogue)[::-1])
    clone.catalogue.parent.rename(clone.folder / "elsewhere")
    assert clone.plan("--config", "catalogue=elsewhere/catalogue.json") == chain()


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
    """Memory, threads and scheduler are no property of a store."""
    assert clone.plan("--config", "memory_mib=2048", "threads=2", "scheduler=threads") == NOTHING


def test_what_a_store_is_like(clone):
    """Codec, format and chunks are: every store is written again, without another inventory."""
    (clone.folder / "chunks.yaml").write_text("chunks: {time: 1}")
    commands = (("--config", "codec=fast"), ("--config", "zarr_format=2"), ("--configfile", "chunks.yaml"))
    for plan in clone.plans(*commands):
        assert plan == chain(A, B, rules=RULES[1:])
