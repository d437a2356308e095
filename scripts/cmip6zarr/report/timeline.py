"""What ran when: on how many datasets convert and verify were at work, from the times of their receipts."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from cmip6zarr.core.files import JSON

RULES = ("convert", "verify")
PARTS = 96  # of the time


def timeline(done: pl.DataFrame) -> JSON | None:
    """Return the course of a campaign, of the table `finished.REPORTED`; None where its receipts are of one moment.

    `start` is in milliseconds since 1970, `step` the milliseconds of each of PARTS. Each rule has the mean number of
    datasets that it was at work on in each part, `done` the number of those that verify had done by its end. Work whose
    seconds are not known counts for none.
    """
    spans = {rule: span(done, rule) for rule in RULES if done.height}
    if not spans:
        return None
    first = min(starts.min() for starts, _ in spans.values())
    last = max(ends.max() for _, ends in spans.values())
    if first >= last:
        return None
    edges = np.linspace(0, last - first, PARTS + 1)
    step = edges[1]
    at_work = {
        rule: np.diff(passed(starts - first, edges) - passed(ends - first, edges)) / step
        for rule, (starts, ends) in spans.items()
    }
    finished = np.searchsorted(np.sort(spans["verify"][1] - first), edges[1:], side="right")
    return {
        "start": round(first * 1000),
        "step": step * 1000,
        "done": finished.tolist(),
        **{rule: np.round(mean, 3).tolist() for rule, mean in at_work.items()},
    }


def span(done: pl.DataFrame, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Return when a rule began its work on each dataset and when it ended, in seconds since 1970."""
    ends = done[f"{rule}_mtime_ns"].to_numpy() / 1e9
    return ends - done[f"{rule}_seconds"].fill_null(0).to_numpy(), ends


def passed(times: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return for each edge how long ago all times before it are, together.

    >>> passed(np.array([1.0, 2.0]), np.array([0.0, 2.0, 5.0])).tolist()
    [0.0, 1.0, 7.0]
    """
    times = np.sort(times)
    before = np.searchsorted(times, edges)
    return np.asarray(edges * before - np.concatenate([[0.0], np.cumsum(times)])[before])


def extent(course: Mapping[str, float] | None) -> tuple[float, float] | None:
    """Return when a course begins and ends, in seconds since 1970."""
    return (course["start"] / 1000, (course["start"] + PARTS * course["step"]) / 1000) if course else None
