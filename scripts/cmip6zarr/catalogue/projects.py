"""Projects as data: the words that name a dataset, in ids, columns of catalogues, folders and file names.

Each is a YAML file in `config/projects`, named after the first word of its ids in lower case; a user's own is named by
the configuration. `config/project.schema.yaml` says what stands in one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from cmip6zarr.catalogue import templates
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.text import printable

CONFIG = Path(__file__).parents[3] / "config"
SCHEMA = CONFIG / "project.schema.yaml"
BUILT_IN = {file.stem: file for file in sorted((CONFIG / "projects").glob("*.yaml"))}
"""First word of the ids, in lower case -> the file of the project."""

IN_NAME = "[A-Za-z0-9-]+"
"""A word in the name of a file, where underscores part the words."""

DEFAULT = "cmip6"
"""Ids of ten words that begin with no project's word are in the words of this one: another MIP era."""


class ProjectError(DatasetError):
    """The file of a project cannot be used; the message says which, what was found, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("catalogue", message, "Correct the file of the project, which config/README.md describes.")


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A word of an id: the columns that have it, the first one found being used, and what it must be in an id.

    `value` is what it always is, `default` what it is where no column says it.
    """

    name: str
    columns: tuple[str, ...]
    pattern: str
    value: str | None = None
    default: str | None = None


@dataclass(frozen=True, kw_only=True)
class Project:
    """The words of a project, as its YAML file has them; `path` is the file of one's own, None of a built-in one."""

    said: Mapping[str, Any]
    path: str | None = None

    @property
    def name(self) -> str:
        return str(self.said["project"])

    @cached_property
    def facets(self) -> dict[str, Facet]:
        """The words of an id, in order."""
        word = self.said.get("word", templates.WORD)
        return {
            name: Facet(
                name=name,
                columns=(name, *(told or {}).get("columns", ())),
                pattern=re.escape(told["value"]) if told and "value" in told else (told or {}).get("pattern", word),
                value=(told or {}).get("value"),
                default=(told or {}).get("default"),
            )
            for name, told in self.said["facets"].items()
        }

    @property
    def first_word(self) -> str:
        """The word that ids begin with, in lower case."""
        first = next(iter(self.facets.values()))
        return str(first.value or first.default).lower()

    @property
    def id_pattern(self) -> str:
        """Regular expression of an id: of polars too, so without backreferences."""
        return r"\.".join(f"(?:{facet.pattern})" for facet in self.facets.values())

    @cached_property
    def folder(self) -> re.Pattern[str]:
        """An absolute folder of files, a group for each facet that it states."""
        return re.compile(f"{templates.SAFE}/{templates.expression(self.said['folder'], self._words)}")

    @cached_property
    def file(self) -> re.Pattern[str]:
        """The name of a file, likewise."""
        words = self._words | {"time_range": self.said["time_range"]}
        return re.compile(templates.expression(self.said["file"], words, other=IN_NAME) + r"\.nc")

    def is_of(self, name: str, facets: Mapping[str, str]) -> bool:
        """Tell whether a file can be one of a dataset by its name: one of another form may be, words must agree."""
        if not self.file.fullmatch(name):
            return True
        words = {facet: re.escape(value) for facet, value in facets.items()} | {"time_range": self.said["time_range"]}
        return bool(re.fullmatch(templates.expression(self.said["file"], words, other=IN_NAME) + r"\.nc", name))

    def time_range(self, name: str) -> str | None:
        """Return the dates at the end of a file's name, None where it has none (as fixed fields do)."""
        match = re.search(rf"_({self.said['time_range']})\.nc$", name)
        return match and match[1]

    @cached_property
    def published(self) -> re.Pattern[str]:
        """The id by which archives list files, likewise; it may lack facets."""
        plain = ".".join(f"<{name}>" for name in self.facets)
        return re.compile(templates.expression(self.said.get("published", plain), self._words))

    @property
    def _words(self) -> dict[str, str]:
        """Facet -> what it is in a path, of those that are not any word."""
        fixed = {f.name: re.escape(f.value or f.default or "") for f in self.facets.values() if f.value or f.default}
        return {f.name: f.pattern for f in self.facets.values() if f.pattern != templates.WORD} | fixed

    @property
    def identity(self) -> tuple[str, ...]:
        """The attributes of files that the id is made of."""
        return tuple(self.said["identity"])

    @property
    def variable(self) -> str:
        """The facet that is the name of the variable."""
        return str(self.said["kind"][-1])

    @property
    def brief(self) -> tuple[str, ...]:
        """The facets that tell datasets of a campaign apart at a glance: run, kind, and grid where there is one."""
        return (*self.said["run"], *self.said["kind"], *(["grid_label"] if "grid_label" in self.facets else []))

    def words(self, dataset: str) -> dict[str, str]:
        """Return the facets of an id; raises ValueError if it has not as many words."""
        return dict(zip(self.facets, dataset.split("."), strict=True))

    def dataset(self, facets: Mapping[str, str | None]) -> dict[str, str]:
        """Return all facets in order, of some that folder, name or published id state; raises KeyError without one."""
        told = {name: value for name, value in facets.items() if value is not None}
        known = {f.name: f.value or f.default for f in self.facets.values() if f.value or f.default}
        # A word that has a value is that value, however a folder spells it.
        return {name: known.get(name) or told[name] for name in self.facets}

    def is_climatology(self, dataset: str) -> bool:
        """Tell whether the id of a dataset says that it is a climatology."""
        told = self.said.get("climatology")
        return bool(told and re.fullmatch(told["pattern"], self.words(dataset)[told["facet"]]))


@cache
def load(path: str) -> Project:
    """Return a project of one's own from its file; raises ProjectError where it is not as the schema has it."""
    import jsonschema  # 0.1 s, which the built-in projects do not need

    try:
        said = _read(Path(path))
        schema = _read(SCHEMA)
        jsonschema.Draft202012Validator(schema).validate(said)
        project = Project(said=said, path=str(Path(path).absolute()))
        _check(project)
    except jsonschema.ValidationError as error:
        where = ".".join(map(str, error.absolute_path)) or "the file"
        raise ProjectError(f"{path}: {where}: {printable(error.message):.300}.") from None
    except (OSError, ValueError, TypeError, re.error, yaml.YAMLError) as error:
        raise ProjectError(f"{path}: {printable(str(error)):.300}.") from error
    return project


def _check(project: Project) -> None:
    """Raise ValueError where a project contradicts itself, or takes the place of a built-in one."""
    first = next(iter(project.facets.values()))
    if not (first.value or first.default):
        raise ValueError(
            f"facets.{first.name} has neither value nor default: expected the word that all ids begin with"
        )
    if project.first_word in BUILT_IN:
        raise ValueError(f"ids begin with {project.first_word!r}, as those of a built-in project: choose another word")
    named = [*project.said["run"], *project.said["kind"]]
    named += [project.said[key]["facet"] for key in ("start", "climatology") if key in project.said]
    if unknown := [name for name in named if name not in project.facets]:
        raise ValueError(f"{unknown[0]!r} is no facet: expected one of {', '.join(project.facets)}")
    for facet in project.facets.values():
        if facet.default and not re.fullmatch(facet.pattern, facet.default):
            raise ValueError(f"facets.{facet.name}: the default is not of the pattern")
    stated = project.folder.groupindex.keys() | {f.name for f in project.facets.values() if f.value or f.default}
    if lacking := [name for name in project.facets if name not in stated]:
        raise ValueError(f"folder lacks <{lacking[0]}>, which has neither value nor default")
    _ = project.file, project.published


def _read(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506


@cache
def built_in(first_word: str) -> Project:
    """Return a built-in project by the first word of its ids, in lower case."""
    return Project(said=_read(BUILT_IN[first_word]))


def known(own: Iterable[str] = ()) -> tuple[Project, ...]:
    """Return all projects: the built-in ones, and those of one's own, of the files at `own`; raises ProjectError."""
    projects = (*map(built_in, BUILT_IN), *map(load, own))
    words: dict[str, str] = {}
    for project in projects:
        columns = (value.lower() for values in project.said["known_by"].values() for value in values)
        for word in (project.first_word, project.name.lower(), *columns):
            if words.setdefault(word, project.name) != project.name:
                message = f"{project.path}: {word!r} names {project.name}, and {words[word]} too: choose another word."
                raise ProjectError(message)
    return projects


def of(dataset: str, own: Iterable[Project] = ()) -> Project:
    """Return the project of an id by its first word: one of `own`, a built-in one, else DEFAULT.

    >>> of("MIP-DRS7.CMIP7.CMIP.MOHC").name, of("CMIP6.CMIP").name, of("CMIP3.x").name
    ('CMIP7', 'CMIP6', 'CMIP6')
    """
    word = dataset.split(".", 1)[0].lower()
    mine = next((project for project in own if project.first_word == word), None)
    return mine or built_in(word if word in BUILT_IN else DEFAULT)
