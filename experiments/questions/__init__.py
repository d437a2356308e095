"""The questions of the note of June 2020, one module each, in the order of the page.

Each has `measure(setting)`, which runs things and returns figures (JSON); `words(figures)`, what stands in the gaps of
its text, `<question>.md`; and `draw(figures, axes)`, its plot. The last two know nothing but the figures.
"""

from . import missing, opening, schedulers, size, store, threads, unify

QUESTIONS = {
    "opening": opening,
    "size": size,
    "threads": threads,
    "store": store,
    "schedulers": schedulers,
    "unify": unify,
    "missing": missing,
}
