"""Draw a look at a store as an SVG file that needs nothing else, light and dark."""

import base64
from collections.abc import Iterable
from html import escape

import numpy as np

from cmip6zarr.report.quicklook import Look

LEVELS = 32  # colours of a map: with so few an image takes 4 kB
RISING = ("#1d1147", "#31508f", "#1f8a8c", "#62b96a", "#d9d650", "#fdf6b8")
"""Colours of what has one sign, from the least value to the greatest."""
SIGNED = ("#123a73", "#3f7fbf", "#b9d3e8", "#f6f3ee", "#eec0a4", "#cf6a4e", "#7d1a2b")
"""Colours of what has both, zero in the middle."""
WIDTH, MAP_WIDTH, GAP = 720, 480, 12
"""Of the picture, of a map at most, and between two, in pixels; a map is half as high as wide."""
LEFT, LINE, CURVE_HEIGHT, SCALE_WIDTH = 68, 20, 68, 208
STYLE = """
image { image-rendering: pixelated }
text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #5b6472 }
.line { fill: none; stroke: #2457a6; stroke-width: 1.5 }
.gap { fill: none; stroke: #9aa3b0; stroke-dasharray: 2 3 }
.frame { fill: none; stroke: #d5dae1 }
@media (prefers-color-scheme: dark) {
  text { fill: #a3adbb } .line { stroke: #7fb0f5 } .gap { stroke: #5d6776 } .frame { stroke: #3a4350 }
}
"""


def svg(look: Look, start: str, end: str) -> str:
    """Return the picture of a look; `start` and `end` say when its first and last step are."""
    parts, height = [], 0
    if look.maps:
        values = np.concatenate([m.ravel() for m in look.maps.values()])
        low, high = span(values)
        # A field that is the same everywhere has one sign, though its scale may have both.
        has_both = low < 0 < high and (values < 0).any() and (values > 0).any()
        table = colours(SIGNED if has_both else RISING)
        width = min(MAP_WIDTH, (WIDTH - GAP * (len(look.maps) - 1)) // len(look.maps))
        for place, (step, values) in enumerate(look.maps.items()):
            x = place * (width + GAP)
            parts += [
                text(x, 11, caption(step, look.steps, (start, look.middle, end))),
                image(x, 18, painted(values, low, high, table), width, width // 2),
            ]
        height = width // 2 + LINE + 8
        if len(look.maps) > 1:
            parts += legend(height + 2, low, high, look, table)
            height += LINE
        else:
            parts += legend_beside(low, high, look, table)
    if look.steps > 1:
        parts += curve(height + 6, look, start, end)
        height += CURVE_HEIGHT + 2 * LINE + 8
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def span(values: np.ndarray) -> tuple[float, float]:
    """Return between which values colours change: all but the outermost hundredths; about zero if it has both signs."""
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 99))
    if low < 0 < high and min(-low, high) > max(-low, high) / 10:
        high = max(-low, high)
        low = -high
    elif low < 0 < high:
        low, high = (0.0, high) if high > -low else (low, 0.0)
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)


def colours(stops: tuple[str, ...]) -> np.ndarray:
    """Return LEVELS colours between some: (LEVELS + 1, 4) uint8, the last of them transparent, for no value."""
    rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops])
    at = np.linspace(0, len(stops) - 1, LEVELS)
    mixed = np.stack([np.interp(at, range(len(stops)), rgb[:, channel]) for channel in range(3)], -1)
    return np.vstack([np.c_[mixed, np.full(LEVELS, 255)], np.zeros(4)]).astype("u1")


def painted(values: np.ndarray, low: float, high: float, table: np.ndarray) -> np.ndarray:
    """Return the colours of a map: (rows, columns, 4) uint8."""
    shares = np.clip((values - low) / (high - low), 0, 1)
    levels = np.where(np.isfinite(values), np.nan_to_num(shares) * (LEVELS - 1) + 0.5, LEVELS).astype(int)
    return np.asarray(table[levels])


def image(x: float, y: float, pixels: np.ndarray, width: int, height: int) -> str:
    """Return an image as part of an SVG, without loss."""
    from imagecodecs import webp_encode

    data = base64.b64encode(webp_encode(pixels, level=3, lossless=True)).decode()
    place = f'x="{x}" y="{y}" width="{width}" height="{height}"'
    href = f"data:image/webp;base64,{data}"
    return f'<image {place} preserveAspectRatio="none" href="{href}"/><rect {place} class="frame"/>'


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Return words as part of an SVG, whatever characters are in them."""
    printable = "".join(letter if letter.isprintable() else " " for letter in words)
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(printable)}</text>'


def caption(step: int, steps: int, dates: tuple[str, str, str]) -> str:
    """Return which step a map shows; `dates` are those of the first, the middle and the last one.

    >>> [caption(step, 9, ("1850-01-16 12:00", "1850-05-16", "1850-09-16 00:00")) for step in (0, 4, 8)]
    ['1850-01-16', '1850-05-16', '1850-09-16']
    >>> caption(4, 9, ("1850-01-16 12:00", "", "1850-09-16 00:00"))
    'step 5 of 9'
    """
    start, middle, end = (date.split(" ")[0] for date in dates)
    return {steps // 2: middle, steps - 1: end, 0: start}.get(step) or f"step {step + 1} of {steps}"


def short(number: float) -> str:
    """Return a number in at most eight characters, for which there is room beside a scale.

    >>> short(243.8), short(-384800.0), short(-9.235e36), short(3.8e-5)
    ('243.8', '-3.85e5', '-9.24e36', '3.80e-5')
    >>> short(-9.235e-36), short(-9.235e-306), short(-0.00012345), short(-0.0)
    ('-9.2e-36', '-9e-306', '-1.23e-4', '0')
    """
    text = f"{number + 0.0:.4g}"
    if "e" not in text and len(text) <= 8:
        return text
    texts = (f"{number:.{digits}e}".split("e") for digits in (2, 1, 0))
    return next(text for mantissa, power in texts if len(text := f"{mantissa}e{int(power)}") <= 8)


def legend(y: float, low: float, high: float, look: Look, table: np.ndarray) -> list[str]:
    """Return the scale of colours with its units, and what is shown of axes that a map has not."""
    units = look.units[:40]
    return [
        text(LEFT - 6, y + 9, short(low), "end"),
        image(LEFT, y, table[np.arange(LEVELS)[None]], SCALE_WIDTH, 10),
        text(LEFT + SCALE_WIDTH + 6, y + 9, f"{short(high)} {units}"),
        text(WIDTH, y + 9, ", ".join(firsts(look)), "end"),
    ]


def legend_beside(low: float, high: float, look: Look, table: np.ndarray) -> list[str]:
    """Return the same beside a map that is alone."""
    x, words = MAP_WIDTH + GAP, (look.variable[:30], look.units[:30], *firsts(look))
    return [
        *(text(x, 70 + LINE * place, word) for place, word in enumerate(words)),
        image(x, 28, table[np.arange(LEVELS)[None]], WIDTH - x, 10),
        text(x, 52, short(low)),
        text(WIDTH, 52, short(high), "end"),
    ]


def firsts(look: Look) -> list[str]:
    """Return of which dimensions a map shows the first alone."""
    return [f"{name}: the first of {size}" for name, size in look.firsts.items()]


def curve(y: float, look: Look, start: str, end: str) -> list[str]:
    """Return the course of the mean: whole lines where steps were read in one go, dots between."""
    runs = [{step: mean for step, mean in run.items() if np.isfinite(mean)} for run in look.means]
    points = {step: mean for run in runs for step, mean in run.items()}
    kind = "mean, weighted by cos(latitude)" if look.weighted else "mean of all cells"
    title = f"{look.variable}: {kind}, {sum(map(len, look.means))} of {look.steps} steps"
    if not points:
        return [text(LEFT, y + 13, f"{title}, none with a value")]
    low, high = min(points.values()), max(points.values())
    top, most = y + LINE, CURVE_HEIGHT - 8

    def drawn(kind: str, steps: Iterable[int]) -> str:
        places = (
            f"{LEFT + (WIDTH - LEFT) * step / (look.steps - 1):.1f},"
            f"{top + 4 + most * (1 - (points[step] - low) / (high - low or 1)):.1f}"
            for step in steps
        )
        return f'<polyline class="{kind}" points="{" ".join(places)}"/>'

    return [
        text(LEFT, y + 13, title),
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT}" height="{CURVE_HEIGHT}" class="frame"/>',
        text(LEFT - 6, top + 12, short(high), "end"),
        text(LEFT - 6, top + CURVE_HEIGHT - 2, short(low), "end"),
        drawn("gap", points),
        *(drawn("line", run) for run in runs if run),
        text(LEFT, top + CURVE_HEIGHT + 16, start.split(" ")[0]),
        text(WIDTH, top + CURVE_HEIGHT + 16, end.split(" ")[0], "end"),
    ]
