"""How far the steps of a time axis are apart, counted in steps of its frequency."""

import numpy as np

from cmip6zarr.source.time_units import dates

# CMIP6 controlled vocabulary of `frequency`: step in days, or in months.
STEP_DAYS = {"day": 1, "6hr": 1 / 4, "3hr": 1 / 8, "1hr": 1 / 24}
STEP_MONTHS = {"mon": 1, "yr": 12, "dec": 120}
# Months have 28 to 31 days; stamps are rounded by some hours at most.
SHORTEST_MONTH, LONGEST_MONTH, MEAN_MONTH = 27.5, 31.5, 30.4
# A step is later than another by more than doubles of days round.
LATER_DAYS = 1e-9
# So far from a whole number of steps, a step is between two places of its frequency.
BETWEEN = 0.4


def frequency_of(declared: str, days: np.ndarray) -> str | None:
    """Return the frequency that steps must follow, or None where nothing can be said but that they increase.

    `declared` is the files' `frequency` attribute (`Pt` of instantaneous values is dropped; climatologies, `C` and
    `CM`, have no steps that follow one another). What most steps in `days` (one per step, increasing) say is believed
    where it says otherwise: some daily files declare `mon`.
    """
    if declared.endswith(("C", "CM")):
        return None
    if len(days) > 2:
        step = float(np.median(np.diff(days)))
        if SHORTEST_MONTH < step < LONGEST_MONTH:
            return "mon"
        for name, length in STEP_DAYS.items():
            if abs(step / length - 1) < 0.01:
                return name
    name = declared.removesuffix("Pt")
    return name if name in STEP_DAYS or name in STEP_MONTHS else None


def steps_between(days: np.ndarray, frequency: str | None, calendar: str) -> np.ndarray:
    """Return for each step but the first how many steps it is after the one before: 1 follows, 0 is not later.

    `days` are as of `timeaxis.days_of`. A month follows where the date is of the next one, or where it has the length
    of one: stamps at the end of months, and evenly spaced ones, miss a month now and then. For an unknown frequency
    only the order is judged.
    """
    apart = np.diff(days)
    later = apart > LATER_DAYS
    if frequency in STEP_DAYS:
        return np.where(later, apart / STEP_DAYS[frequency], 0.0)
    if frequency not in STEP_MONTHS:
        return later.astype("f8")
    months = np.diff([date.year * 12 + date.month for date in dates(days, calendar)])
    counted = np.where(months > 0, months, apart / MEAN_MONTH)
    counted[(apart > SHORTEST_MONTH) & (apart < LONGEST_MONTH)] = 1
    return np.where(later, counted / STEP_MONTHS[frequency], 0.0)


def missing_of(steps: np.ndarray) -> np.ndarray:
    """Return how many steps are left out before each step of which `steps_between` returned the distance."""
    return np.where(is_between(steps), 0, np.maximum(np.rint(steps).astype(int) - 1, 0))


def is_between(steps: np.ndarray) -> np.ndarray:
    """Tell which steps are later than the one before, but neither the next nor one after others that are left out."""
    near = (steps <= 1 - BETWEEN) | (abs(steps - 1.5) <= 0.5 - BETWEEN)
    return (steps > 0) & near
