"""Settings by dataset: which entry counts, what it changes, and which can be of no dataset."""

import pytest
from builders import dataset_id
from chain import configuration

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import request, settings

MONTHLY, DAILY = (Dataset(dataset_id(table_id=table), ("a.nc",)) for table in ("Amon", "day"))
CMIP7 = "MIP-DRS7.CMIP7.CMIP.ORG.M.historical.r1i1p1f1.glb.day.tas.tavg-h2m-hxy-u.g1.v20200101"


def entries(*each, **more):
    return configuration(settings=[{"select": select, **changes} for select, changes in each], **more)


def test_the_first_entry_that_matches_counts():
    """Entries are not added up, and a dataset that matches none has the configuration itself."""
    config = entries(
        ({"table_id": "day", "variable_id": ["pr", "tas"]}, {"codec": "fast"}),
        ({"table_id": "day"}, {"codec": "small", "memory_mib": 2048}),
    )
    assert settings.entry(config, DAILY) == 0
    assert (settings.of(config, DAILY)["codec"], settings.of(config, DAILY)["memory_mib"]) == ("fast", 1024)
    assert settings.of(config, MONTHLY) is config
    assert settings.numbers(config, [DAILY, DAILY, MONTHLY]) == {0: 2, 1: 0, None: 1}


def test_a_facet_that_the_project_lacks_does_not_match():
    """CMIP7 has no table: an entry of one is not of its datasets, whatever else they match."""
    row = Dataset(CMIP7, ("a.nc",))
    assert settings.entry(entries(({"table_id": "day"}, {"codec": "fast"})), row) is None
    assert settings.entry(entries(({"frequency": "day"}, {"codec": "fast"})), row) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("codec", "fast"), ("zarr_format", 2), ("chunks", {"time": 4}), ("chunk_mib", 8), ("shard_mib", 64)],
)
def test_receipts_are_asked_the_settings_of_the_dataset(name, value):
    """What is asked of convert is that of the entry, for its datasets alone."""
    config = entries(({"table_id": "day"}, {name: value}))
    plain = request.asked(configuration(), DAILY)["convert"]
    assert request.asked(config, DAILY)["convert"] == request.asked(configuration(**{name: value}), DAILY)["convert"]
    assert request.asked(config, DAILY)["convert"] != plain
    assert request.asked(config, MONTHLY) == request.asked(configuration(), MONTHLY)


def test_memory_is_that_of_the_dataset_and_of_a_bundle_the_most():
    """Convert and verify get the memory of the entry; a job that takes several datasets, the most of them."""
    config = entries(({"table_id": "day"}, {"memory_mib": 4096}))
    assert [request.how(rule, config, DAILY)["memory_mib"] for rule in ("convert", "verify")] == [4096, 4096]
    assert request.how("convert", config, MONTHLY)["memory_mib"] == 1024
    assert settings.memory_mib(config, [MONTHLY, DAILY]) == 4096
    assert settings.memory_mib(config, []) == 1024


def test_without_settings_no_dataset_is_looked_at():
    """To make all datasets of a catalogue takes seconds at each start, and those of a bundle for each of its jobs."""
    some = iter([DAILY, MONTHLY])
    assert settings.memory_mib(configuration(), some) == 1024
    assert settings.unused(configuration(), some) is None
    assert list(some) == [DAILY, MONTHLY]


def test_entries_of_no_dataset_are_told():
    """A facet that no project has is a fault; a selection that nothing matches is told by its number."""
    config = entries(({"tabel_id": "day"}, {"codec": "fast"}))
    assert settings.fault(config).startswith("settings.0.select: unknown facet 'tabel_id': expected one of ")
    config = entries(({"table_id": "day"}, {"codec": "fast"}), ({"table_id": "day"}, {"codec": "small"}))
    assert settings.fault(config) is None
    assert ": 1 (the first entry is 0)." in settings.unused(config, [DAILY, MONTHLY])
    assert settings.unused(entries(({"table_id": "day"}, {"codec": "fast"})), [DAILY, MONTHLY]) is None
    assert settings.unused(configuration(), [MONTHLY]) is None
