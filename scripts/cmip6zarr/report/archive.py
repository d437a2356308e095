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
            "stores": some.head(MOST_STORES).to_dicts(),
        }
        for change, word in listed.WORDS.items()
        if (some := stores.filter(pl.col("change") == change)).height
    ]
