"""Figures in words: whether a thing is faster or slower, larger or smaller, is said by the figures themselves."""

import math
import textwrap

ALIKE = 0.1
"""Seconds and memory that differ by less than this share are called the same: the machine is no quieter."""
WIDTH = 120


def compared(this: float, other: float, less: str, more: str, alike: float = ALIKE) -> str:
    """Return how one number stands to another.

    >>> compared(2.0, 4.0, "less", "more"), compared(4.2, 4.0, "less", "more"), compared(6.0, 4.0, "less", "more")
    ('less (0.50 of it)', 'the same (within 10 %)', 'more (1.50 of it)')
    """
    if not (math.isfinite(this) and math.isfinite(other)) or other == 0:
        return "not measured"
    ratio = this / other
    if abs(ratio - 1) < alike:
        return f"the same (within {100 * alike:g} %)"
    return f"{less if ratio < 1 else more} ({ratio:.2f} of it)"


def faster(this: float, other: float) -> str:
    """Return how seconds stand to others."""
    return compared(this, other, "faster", "slower").replace(" of it", " of the time").replace("the same", "as fast")


def smaller(this: float, other: float, alike: float = ALIKE) -> str:
    """Return how memory or bytes stand to others."""
    return compared(this, other, "smaller", "larger", alike)


def listed(names: list[str]) -> str:
    """Return names as a sentence has them.

    >>> listed([]), listed(["a"]), listed(["a", "b", "c"])
    ('none', 'a', 'a, b and c')
    """
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def codes(names) -> str:
    """Return names in the type of code, as a sentence has them."""
    return listed([f"`{name}`" for name in names])


def number(value: float, digits: int = 2) -> str:
    """Return a number in text; a dash for what was not measured."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def cores_of(cores: int) -> str:
    """Return how many cores in words."""
    return "1 core" if cores == 1 else f"{cores} cores"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def wrapped(page: str) -> str:
    """Return Markdown whose paragraphs have lines of at most WIDTH characters."""
    parts = page.split("\n\n")
    keep = ("|", "#", "!", "* ")
    fill = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False).fill
    return "\n\n".join(part if part.startswith(keep) else fill(part) for part in parts if part.strip()) + "\n"
