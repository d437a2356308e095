"""Stores whose datasets the archive has withdrawn, as the report shows them: the gravest first."""

import polars as pl

from cmip6zarr.campaign import listed, withdrawn
from cmip6zarr.core.files import JSON
from cmip6zarr.job.receipts import Results

MOST_STORES = 5  # of a change


def archive(results: Results) -> list[JSON]:
    """Return the stores that the last run has found withdrawn, by change: its name, count, remedies, first stores."""
    stores = withdrawn.read(results)
    return [
        {
            "change": word,
            "count": some.height,
            "remedies": some["what_to_do"].unique(maintain_order=True).to_list(),
            "stores": [
                store | {"newer": other(store["dataset"], store["newer"])}
                for store in some.head(MOST_STORES).to_dicts()
            ],
        }
        for change, word in listed.WORDS.items()
        if (some := stores.filter(pl.col("change") == change)).height
    ]


def other(dataset: str, newer: str | None) -> str | None:
    """Return of the newer version of a dataset what its id has not: its version, where that is the last word of both.

    >>> other("CMIP6.tas.v1", "CMIP6.tas.v2"), other("OURS.v1.tas", "OURS.v2.tas"), other("CMIP6.tas.v1", None)
    ('v2', 'OURS.v2.tas', None)
    """
    same, _, version = (newer or "").rpartition(".")
    return version if newer and dataset.rpartition(".")[0] == same else newer
