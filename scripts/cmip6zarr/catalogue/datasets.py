"""The datasets of a catalogue, in columns: a million of files as Python objects takes many times the memory."""

from collections.abc import Collection, Iterator, Mapping, Sequence, ValuesView
from operator import add

import polars as pl

from cmip6zarr.catalogue.checksums import parse
from cmip6zarr.catalogue.dataset import Dataset, Published

COLUMNS = ("stem", "end", "source_bytes", "sums", "sizes")
"""Of the table of datasets, without the id; the last two are there where the catalogue has checksums.

Each path is a stem and an end, `selecting.PARTS`.
"""


class Datasets(Mapping[str, Dataset]):
    """Datasets by id, in order: each is made when it is asked for, of a table of id and COLUMNS.

    `own` has the files of projects that are not built in, by the first word of their ids in lower case.
    """

    def __init__(self, table: pl.DataFrame, own: Mapping[str, str]) -> None:
        self._table = table.select(*(name for name in COLUMNS if name in table.columns))
        self._own = own
        self._place = {name: place for place, name in enumerate(table["id"])}

    def __getitem__(self, name: str) -> Dataset:
        return self._dataset(name, *self._table.row(self._place[name]))

    def _dataset(
        self,
        name: str,
        stems: Sequence[str],
        ends: Sequence[str],
        source_bytes: int | None,
        sums: Sequence[str | None] = (),
        sizes: Sequence[int | None] = (),
    ) -> Dataset:
        files = sorted(map(add, stems, ends))
        published: tuple[Published | None, ...] = ()
        if any(sums):
            rows = sorted(zip(map(add, stems, ends), sums, sizes, strict=True))
            published = tuple(parse(said, size) if said else None for _, said, size in rows)
        return Dataset(name, tuple(files), source_bytes, self._own_of(name), published)

    def _own_of(self, name: str) -> str | None:
        return self._own.get(name.split(".", 1)[0].lower()) if self._own else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def without(self, names: Collection[str]) -> "Datasets":
        """Return the datasets but for some."""
        table = self._table.with_columns(id=pl.Series(list(self), dtype=pl.String))
        return Datasets(table.filter(~pl.col("id").is_in(list(names))), self._own)

    def values(self) -> ValuesView[Dataset]:
        """Return all datasets: to go through them takes less than to ask for each."""
        return _Rows(self)

    def rows(self) -> Iterator[Dataset]:
        """Yield all datasets."""
        for name, row in zip(self._place, self._table.iter_rows(), strict=True):
            yield self._dataset(name, *row)


class _Rows(ValuesView[Dataset]):
    _mapping: Datasets

    def __iter__(self) -> Iterator[Dataset]:
        return self._mapping.rows()
