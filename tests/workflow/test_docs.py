"""The documents: links lead somewhere, commands exist, pictures and tables are those of the code."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from repository import REPOSITORY

import virtual_store_obstacles

PAGES = [
    path
    for path in sorted(REPOSITORY.rglob("*.md"))
    if not re.search(r"(^|/)(\.|demo/|results/|experiments/questions/)", str(path.relative_to(REPOSITORY)))
]
RULES = {path.stem: path.read_text() for path in sorted((REPOSITORY / "rules").glob("*.smk"))}
KEYS = yaml.safe_load((REPOSITORY / "config" / "config.schema.yaml").read_text())["properties"]


def named(path):
    return str(path.relative_to(REPOSITORY))


def code_and_text(page: Path) -> tuple[str, str]:
    """Return a page's code, in blocks and in lines, and its text without it."""
    whole = page.read_text()
    blocks = re.findall(r"^```.*?^```", whole, re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```.*?^```", "", whole, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"`[^`]+`", text)]), text


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", code_and_text(page)[1], re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Return the relative links and pictures of a page that lead nowhere."""
    links = re.findall(r"\]\(([^)\s]+)\)", code_and_text(page)[1])
    found = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            found.append(link)
    return found


def missing_commands(page: Path) -> list[str]:
    """Return what a page tells to run, or points to, that is not there."""
    code, _ = code_and_text(page)
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    found = [f"make {target}" for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", code) if target not in targets]
    paths = re.findall(r"(?<![\w/.])((?:scripts|experiments|tests|torture|rules|config|envs|lotus)/[\w./+-]*\w)", code)
    return found + [path for path in paths if not (REPOSITORY / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    """Files and headings that a page links to exist."""
    assert broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page):
    """Targets of make, and scripts and folders, that a page names exist."""
    assert missing_commands(page) == []


def test_what_leads_nowhere_is_found(tmp_path):
    """A lost file, a lost heading, a target that make does not know and a script that is gone are found."""
    page = tmp_path / "page.md"
    page.write_text("# A heading\n[a](gone.md) [b](#a-heading) [c](#no-heading) `make gone` `python scripts/gone.py`\n")
    assert broken(page) == ["gone.md", "#no-heading"]
    assert missing_commands(page) == ["make gone", "scripts/gone.py"]


def commands_on(page: Path) -> str:
    """Return the code of a page, a command on one line each."""
    return re.sub(r"\s*\\\n\s*", " ", code_and_text(page)[0])


def swallowed(page: Path) -> list[str]:
    """Return commands whose target Snakemake takes for one more value of the option before it."""
    option = r"--(?:configfiles?|config)(?: (?!-)[\w./-]+(?:=\S+)?)+"
    return re.findall(rf"snakemake [^\n`]*{option} (?:{'|'.join(RULES)}|audits|published)\b", commands_on(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_targets_are_no_values_of_options(page):
    """`--config` and `--configfile` take all words that follow: a target comes after `--`."""
    assert swallowed(page) == []


def test_target_that_is_swallowed_is_found(tmp_path):
    """The same command without and with `--`."""
    page = tmp_path / "page.md"
    page.write_text("`snakemake --configfile a.yaml plan` `snakemake --config a=1 b=2 -- plan`\n")
    assert swallowed(page) == ["snakemake --configfile a.yaml plan"]


def options_of(script: str) -> set[str]:
    """Return the options that a script's source declares, and those that all scripts share."""
    sources = [REPOSITORY / script, REPOSITORY / "scripts" / "cmip6zarr" / "job" / "cli.py"]
    return {option for source in sources for option in re.findall(r'"(--[a-z0-9-]+)"', source.read_text())} | {"--help"}


def options_given(page: Path) -> set[tuple[str, str]]:
    """Return the options that a page gives to our scripts, (script, option)."""
    commands = re.findall(r"((?:scripts|experiments|torture)/\w+\.py)([^`\n|;]*)", commands_on(page))
    return {(script, option) for script, rest in commands for option in re.findall(r"--[a-z][a-z0-9-]*", rest)}


def unknown_options(page: Path) -> set[tuple[str, str]]:
    """Return the options that a page gives to our scripts and that they do not have."""
    return {(script, option) for script, option in options_given(page) if option not in options_of(script)}


def settings_given(page: Path) -> set[str]:
    """Return the keys that a page sets with `--config`, quoted or not; `key=value` stands for any."""
    setting = r"(?: (?:'\w+=[^']*'|\w+=[^\s'`]+))"
    found = re.findall(rf"--config({setting}+)", commands_on(page))
    return {key for settings in found for key in re.findall(r" '?(\w+)=(?!value)", settings)}


def with_any(given) -> list[Path]:
    """Return the pages on which there is something to check."""
    return [page for page in PAGES if given(page)]


@pytest.mark.parametrize("page", with_any(options_given), ids=named)
def test_options_exist(page):
    """Options that a page gives to our scripts are theirs."""
    assert unknown_options(page) == set()


@pytest.mark.parametrize("page", with_any(settings_given), ids=named)
def test_settings_on_the_command_line_are_settings(page):
    """What a page sets with `--config` is a key of the schema."""
    assert settings_given(page) <= set(KEYS)


def test_options_and_settings_are_found():
    """The pages that tell a user what to type are among those that are checked."""
    assert {"README.md", "docs/operating.md"} <= set(map(named, with_any(options_given)))
    assert {"docs/other-machines.md", "config/README.md"} <= set(map(named, with_any(settings_given)))
    assert {"store_root", "s3", "publish_root"} <= settings_given(REPOSITORY / "docs" / "object-stores.md")


def test_options_and_settings_that_are_unknown_are_found(tmp_path):
    """An option that a script does not have, and a key that the schema does not have, are found on any line."""
    page = tmp_path / "page.md"
    page.write_text(
        "`python scripts/status.py --json --gone`\n```\npython scripts/restore.py s \\\n  --lost x\n"
        "snakemake --config codec=small 's4={a: b}' gone=1 \\\n  lost=2\n```\nor `--config key=value`\n"
    )
    assert unknown_options(page) == {("scripts/status.py", "--gone"), ("scripts/restore.py", "--lost")}
    assert settings_given(page) == {"codec", "s4", "gone", "lost"}


def test_every_setting_is_documented_and_no_other():
    """The tables of config/README.md have the keys of the schema, and those of the policy and of S3."""
    rows = re.findall(r"^\| `(\w+)` \| ", (REPOSITORY / "config" / "README.md").read_text(), re.MULTILINE)
    values = {"balanced", "fast", "small", "portable", "native"}
    tables = {"policy", "s3"}
    assert set(rows) - values == (set(KEYS) - tables).union(*(KEYS[key]["properties"] for key in tables))


MEANT = {
    "of_this_run": ("size_report", "bundle"),
    "MARK": ("datasets",),
    'of_sealed("audit")': ("audit",),
    'of_sealed("publish")': ("publish",),
}
"""What stands for the outputs of rules in the inputs of others."""


def rule_edges() -> set[tuple[str, str]]:
    """Return which rule needs what another one makes, from the files of the rules, without the way round."""
    edges = set()
    for text in RULES.values():
        for rule, body in re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", text, re.DOTALL | re.MULTILINE):
            if inputs := re.search(r"^ +input:\n(.*?)^ +\w+:\n", body, re.DOTALL | re.MULTILINE):
                edges |= {(name, rule) for name in re.findall(r"<results>/(\w+)/", inputs[1])}
                edges |= {(name, rule) for word, names in MEANT.items() if word in inputs[1] for name in names}
    rules = {rule for _, rule in edges} | {"inventory", "bundle"}
    edges = {(a, b) for a, b in edges if a in rules}
    reached = set(edges)
    for _ in rules:
        reached |= {(a, d) for a, b in reached for c, d in reached if b == c}
    return {(a, b) for a, b in edges if not any((a, c) in reached and (c, b) in reached for c in rules)}


def drawn_edges(text: str) -> set[tuple[str, str]]:
    """Return the arrows of a mermaid flowchart, by the names of what they join."""
    edges = set()
    for line in text.splitlines():
        bare = re.sub(r"\[.*?\]\)?|\[\(.*?\)\]", "", line)
        names = [part.strip() for part in re.split(r"--(?: [^>]*? --)?>", bare)]
        edges |= set(pairwise(names))
    return edges


def test_picture_shows_the_rules():
    """The arrows between rules in docs/design.md are those of the rules' inputs."""
    picture = re.search(r"```mermaid\n(.*?)```", (REPOSITORY / "docs" / "design.md").read_text(), re.DOTALL)[1]
    edges = rule_edges()
    assert ("convert", "verify") in edges
    rules = {name for edge in edges for name in edge}
    assert {edge for edge in drawn_edges(picture) if set(edge) <= rules} == edges


def test_citation_and_catalogue_entry_are_whole():
    """What others read about the project has what they need, and says what is so."""
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
    assert citation["license"].startswith("BSD-3") and (REPOSITORY / "LICENSE").read_text().startswith("BSD 3-Clause")
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment"}
    assert all('"../envs/environment.yaml"' in text for text in RULES.values() if "\nrule " in text)


def test_obstacles_of_virtual_stores():
    """Chunks, codecs, dtypes and encodings that differ are found, and short chunks in the middle; alike files fit."""
    one = {"chunks": (4, 9), "codecs": "z", "dtype": "f4", "CF encoding": "x", "steps": 8}
    assert virtual_store_obstacles.obstacles([{"a": one}, {"a": one | {"steps": 6}}]) == set()
    assert virtual_store_obstacles.obstacles([{"a": one | {"steps": 6}}, {"a": one}]) == {"a short chunk in the middle"}
    for key, other in (("chunks", (8, 9)), ("codecs", "y"), ("dtype", "f8"), ("CF encoding", "y")):
        assert virtual_store_obstacles.obstacles([{"a": one}, {"a": one | {key: other}}]) == {key}
    assert virtual_store_obstacles.obstacles([{"a": one}, {}]) == {"a variable is missing"}
