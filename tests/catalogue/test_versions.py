"""Versions of datasets of any project, wherever their ids have them."""

import polars as pl
import pytest

from cmip6zarr.catalogue import projects, versions
from cmip6zarr.catalogue.projects import Project


def family(name, own=()):
    """Return the family of an id, and the number of its version."""
    ids = pl.DataFrame({"id": [name]})
    return ids.select(family=versions.family(pl.col("id"), own), number=versions.number(pl.col("id"), own)).row(0)


def ours(*facets):
    """Return a project of one's own with these facets."""
    return Project(said={"project": "Ours", "facets": {"project_id": {"value": "OURS"}, **dict.fromkeys(facets)}})


@pytest.mark.parametrize("word", projects.BUILT_IN)
def test_versions_of_the_built_in_projects(word):
    """The version is the last word of an id, and of no other facet's number."""
    project = projects.built_in(word)
    words = {name: facet.value or facet.default or "r1" for name, facet in project.facets.items()}
    name = ".".join((words | {"version": "v20200101"}).values())
    assert family(name) == (name.removesuffix(".v20200101"), 20200101)
    assert family(name.replace("v20200101", "latest"))[1] == versions.NEWEST


@pytest.mark.parametrize(
    ("facets", "name", "expected"),
    [
        (("model", "variable", "version"), "OURS.a.b.v3", ("OURS.a.b", 3)),
        (("version", "model", "variable"), "OURS.v3.a.b", ("OURS.a.b", 3)),
        (("model", "version", "variable"), "ours.v1.v3.v2", ("ours.v1.v2", 3)),
        (("model", "version", "variable"), "OURS.a.latest.b", ("OURS.a.b", versions.NEWEST)),
        (("model", "variable", "run"), "OURS.a.b.v3", ("OURS.a.b.v3", None)),
    ],
)
def test_versions_where_a_project_has_them(facets, name, expected):
    """First, in the middle, last; ids of a project that knows none have none."""
    assert family(name, [ours(*facets)]) == expected
    assert family("CMIP6.a.b.v7", [ours(*facets)]) == ("CMIP6.a.b", 7)


def test_newest_versions_of_ones_own():
    """They are told by their numbers, as those of other projects are."""
    ids = pl.DataFrame({"id": ["OURS.v9.a.b", "OURS.v10.a.b", "OURS.v1.a.c"]})
    found = versions.newest(ids, [ours("version", "model", "variable")])
    assert sorted(found["newer"]) == ["OURS.v1.a.c", "OURS.v10.a.b"]
