"""Templates of folders, file names and ids as regular expressions."""

import re
from collections.abc import Mapping

WORD = "[A-Za-z0-9_-]+"
# What a catalogue can carry: printable, Unicode, and nothing that reads as a glob pattern.
SAFE = r"[^*?\x00-\x1f\x7f-\x9f\ud800-\udfff]*"
PLACE = re.compile(r"(<\w+(?::[^<>]+)?>)")


def expression(template: str, words: Mapping[str, str], other: str = WORD) -> str:
    """Return the regular expression of a template, with a group for each name in it.

    `<name>` is a word, as `words` has it, else `other`; `<name:PATTERN>` is of the pattern; a name that stood before
    is the same word again; `[...]` may be missing. Raises ValueError for brackets that do not match.

    >>> pattern = expression("<table_id>/<version:v[0-9]+|latest>[/<table_id>]", {})
    >>> [bool(re.fullmatch(pattern, text)) for text in ("Amon/v1", "Amon/v1/Amon", "Amon/v1/day", "Amon/x")]
    [True, True, False, False]
    """
    parts, seen, depth = [], set(), 0
    for part in PLACE.split(template):
        if PLACE.fullmatch(part):
            name, _, pattern = part[1:-1].partition(":")
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{pattern or words.get(name, other)})")
            seen.add(name)
            continue
        depth += part.count("[") - part.count("]")
        parts.append(re.escape(part).replace(r"\[", "(?:").replace(r"\]", ")?"))
    if depth or "<" in PLACE.sub("", template):
        raise ValueError(f"{template!r}: brackets do not match")
    return "".join(parts)
