"""Faults that are put into the workflow's own code, each a few lines that a reader sees to be wrong."""

from . import inventory, native, planning, reading, records, times, writing  # noqa: F401  each declares its faults
