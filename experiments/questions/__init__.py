"""The questions of the note of June 2020, one module each, in the order of the page.

Each has `measure(setting)`, which runs things and returns figures (JSON); `words(figures)`, what stands in the gaps of
its text, `<question>.md`; and `draw(figures, axes)`, its plot. The last two know nothing but the figures. One whose
figures are in docs/performance.md too has `tables(figures)`.
"""

from . import (
    dask_schedulers,
    missing_chunks,
    object_store,
    parallel_opening,
    store_size,
    thread_variables,
    unify_chunks,
)

QUESTIONS = {
    "parallel_opening": parallel_opening,
    "store_size": store_size,
    "thread_variables": thread_variables,
    "object_store": object_store,
    "dask_schedulers": dask_schedulers,
    "unify_chunks": unify_chunks,
    "missing_chunks": missing_chunks,
}
