"""The page for those who analyse stores: what it tells to type works."""

import re

from builders import make_catalogue, make_dataset
from clones import HERE, checkout
from repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "using-stores.md"
FACETS = {"institution_id": "MIROC", "source_id": "MIROC6", "experiment_id": "historical", "version": "v20200101"}


def test_what_the_page_tells_to_type_works(tmp_path, tmp_path_factory, monkeypatch):
    """Its snippets run one after another on a campaign of two members; those on a network are left out."""
    clone = checkout(tmp_path_factory.getbasetemp()).copy(tmp_path / "clone")
    for member in ("r1i1p1f1", "r2i1p1f1"):
        attributes = {"variant_label": member}
        make_dataset(tmp_path / "data", files=2, member_id=member, attributes=attributes, **FACETS)
    make_catalogue(tmp_path / "data", clone.catalogue)
    clone.snakemake(*HERE)
    *here, _ = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(clone.folder)
    told: dict = {}
    for snippet in here:
        exec(snippet, told)  # noqa: S102  what is run is a page of this repository
    assert sorted(told["members"].member_id.values) == ["r1i1p1f1", "r2i1p1f1"]
    assert told["members"]["tas"].dims == ("member_id", "time", "lat", "lon")
    assert told["tas"].encoding["chunks"]
