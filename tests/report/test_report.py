"""The campaign report: what it says of a campaign, and that nothing from a receipt is ever markup."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import jinja2
import polars as pl
import pytest
from campaigns import FINDINGS, HOSTILE, LOOK, NAMES, REMEDIES, ROW, leave, make_campaign

from cmip6zarr.campaign import finished
from cmip6zarr.campaign.findings import SEALED, WITH_FINDINGS
from cmip6zarr.core import files
from cmip6zarr.job import in_progress, receipts
from cmip6zarr.report import looks, report

NOTHING = pl.DataFrame(schema=finished.REPORTED)
NOW = datetime(2020, 1, 2, 3, 4, tzinfo=UTC)


class Page(HTMLParser):
    """Tags, scripts and text of a page, as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.words, self.links, self._script = [], [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._script = tag == "script"
        if self._script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._script = self._script and tag != "script"

    def handle_data(self, data):
        if self._script:
            self.scripts[-1] += data
        else:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def data(self):
        return json.loads(self.scripts[0])


def rendered(results, count=24):
    return Page("".join(report.render(*make_campaign(results, count), results, NOW)))


def test_every_dataset_is_in_the_table(tmp_path):
    """The table has a row for each dataset, in its state, and for verified ones what their receipts say."""
    states, sized, at_work = make_campaign(tmp_path, 24)
    page = Page("".join(report.render(states, sized, at_work, tmp_path, NOW)))
    rows = [dict(zip(page.data["columns"], values, strict=True)) for values in page.data["rows"]]
    assert {row["id"]: row["state"] for row in rows} == {
        name: report.WORDS.get(at_work.get(name), "at work" if name in at_work else state)
        for name, state in states.items()
    }
    row = next(row for row in rows if row["state"] == "verified")
    report_of, converted = (receipts.read(tmp_path, rule, row["id"]) for rule in ("size_report", "convert"))
    assert row["ratio"] == report_of["ratio"]
    assert row["planned_objects"] == converted["planned_objects"]
    assert row["convert_seconds"] == converted["seconds"]
    assert row["text"] == report_of["reason"]


def test_head_counts_and_sums(tmp_path):
    """The head says how many are in each state, and what the verified ones come to."""
    page = rendered(tmp_path)
    assert "21 of 24 datasets verified" in page.text
    assert "As of 2020-01-02 03:04 UTC" in page.text
    buttons = [attrs for tag, attrs in page.tags if tag == "button" and "data-state" in attrs]
    states = [attrs["data-state"] for attrs in buttons if "data-search" not in attrs]
    assert states == ["verified", WITH_FINDINGS, "refused", "memory"]


def row(**change):
    sized = {
        "state": "verified",
        "planned_mib": 140,
        "peak_mib": 130,
        "chunk_objects": 9,
        "planned_objects": 9,
        "text": "because",
    }
    return dict.fromkeys(report.COLUMNS) | ROW | {"id": NAMES[0], "convert_seconds": 2.0} | sized | change


def table(*rows):
    """Return rows as the table of verified datasets."""
    schema = report.told(NOTHING).schema
    return pl.DataFrame([{column: one[column] for column in schema} for one in rows], schema)


def test_figures_sum_what_is_verified():
    """The figures are sums of the verified datasets; what is above its plan or not as planned is counted."""
    small = row(
        files_as_published=2,
        netcdf_bytes=90_000,
        zarr_bytes=25_000,
        peak_mib=150,
        planned_objects=8,
        verify_seconds=1.0,
        ratio=0.28,
    )
    found = {name: (value, more) for name, value, more in report.figures(table(row(), small), 0)}
    assert found["NetCDF in"] == ("100 kB", "6 files, 1.15 kB of values; 2 files as published, by their checksums")
    assert found["Zarr out"] == ("50 kB", "1 of 2 stores are bigger than their files")
    assert found["Ratio"] == ("0.50", "median 1.39")
    assert found["Objects"] == ("38", "1.32 kB each; 1 stores not as planned")
    assert found["Memory"] == ("150 MiB", "at most; up to 107% of a plan, 1 above")
    assert "Still to come" not in found
    assert report.figures(table(), 1) == []


def test_speed_and_proof_are_of_what_is_known():
    """Seconds of a resumed convert say nothing of its speed; a store that was not compared is told."""
    mib = 2**20
    rows = [row(raw_bytes=10 * mib), row(raw_bytes=9000 * mib, convert_seconds=None, verified="checksums")]
    found = {name: (value, more) for name, value, more in report.figures(table(*rows), 0)}
    assert found["Convert, verify"][0] == "5 and ?"
    assert found["Values compared"][1].endswith("; 1 stores by their checksums alone")
    assert "published" not in found["NetCDF in"][1]
    streamed = {name: more for name, _, more in report.figures(table(row(verified="streams")), 0)}
    assert streamed["Values compared"].endswith("; 1 stores by streams where chunks were copied")


def test_resumed_convert_has_no_seconds(tmp_path):
    """A convert that went on where it was does not say how long all of it took."""
    (name, *_), _, _ = make_campaign(tmp_path, 1)
    facts = receipts.read(tmp_path, "convert", name)
    receipts.write(receipts.path_of(tmp_path, "convert", name), facts | {"resumed_shards": 3})
    (told,) = finished.table(tmp_path)[0].to_dicts()
    assert told["convert_seconds"] is None
    assert told["verify_seconds"] == facts["seconds"]


def test_forecast_is_of_what_is_ahead():
    """What is waiting or at work is expected to be like what is done; what was refused or failed is not counted."""
    found = report.figures(table(row(cpu_seconds=3.0), row(zarr_bytes=75_000, cpu_seconds=5.0)), 2)
    assert found[-1][:2] == ("Still to come", "100 kB")
    assert found[-1][2] == "38 objects, 8 s of CPU, if the 2 ahead are like those done"


def test_failures_are_grouped_with_their_remedies(tmp_path):
    """Each class has its count, its remedies once, and the first messages."""
    states = {f"{name}{i}": kind for name, kind in zip("ab", ("memory", "refused"), strict=True) for i in range(4)}
    states.pop("b0")
    for name, kind in states.items():
        leave(tmp_path, "failed", name, **{"class": kind, "message": f"of {name}", "remedy": REMEDIES[kind]})
    first, second = report.groups(states, tmp_path)
    assert (first["state"], first["count"], first["remedies"]) == ("memory", 4, [REMEDIES["memory"]])
    assert [record["message"] for record in first["records"]] == ["of a0", "of a1", "of a2"]
    assert (second["state"], second["count"]) == ("refused", 3)
    assert first["again"].endswith("--config rerun=memory")


def test_what_was_let_pass_is_told(tmp_path):
    """Each kind of finding has its stores, what the policy says and the messages; files and steps are summed."""
    _, sized, _ = make_campaign(tmp_path, 24)
    # Of 24 datasets the 2nd, 7th and 12th have 1, 2 and 3 findings, the 22nd one again.
    told = report.let_pass(report.told(sized), tmp_path)
    assert {key: told[key] for key in ("stores", "files_left_out", "steps_missing", "checksums")} == {
        "stores": 4,
        "files_left_out": 2,
        "steps_missing": 48,
        "checksums": 0,
    }
    assert [(kind["kind"], kind["count"], kind["choices"]) for kind in told["kinds"]] == [
        ("gap", 4, ["allow"]),
        ("empty", 2, ["leave_out"]),
        ("default_fill", 1, ["accept"]),
    ]
    assert len(told["kinds"][0]["records"]) == report.MOST_MESSAGES
    assert told["kinds"][0]["records"][0]["message"] == FINDINGS[0]["message"].removesuffix(".")
    text = rendered(tmp_path).text
    assert "4 stores are verified, with findings" in text
    assert "Files left out: 2. Steps missing: 48." in text
    assert FINDINGS[2]["message"].replace("  ", " ").removesuffix(".") in text


def test_nothing_let_pass_is_no_section():
    """Without findings there is no section; of stores that were proven by checksums it says what was not read."""
    assert report.let_pass(table(row(findings=0)), "none") is None
    told = report.let_pass(table(row(findings=0, verified="checksums")), "none")
    assert (told["checksums"], told["stores"], told["kinds"]) == (1, 0, [])


def test_outliers_are_at_both_ends():
    """The largest and the smallest ratios, none in both."""
    rows = [row(id=str(n), ratio=n / 10) for n in range(1, 20)]
    largest, smallest = report.outliers(table(*rows))
    assert [r["ratio"] for r in largest] == [1.9, 1.8, 1.7, 1.6, 1.5, 1.4]
    assert [r["ratio"] for r in smallest] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    (only,), none = report.outliers(table(rows[0]))
    assert (only["id"], none) == ("1", [])


def test_pictures_are_within_up_to_a_limit(tmp_path, monkeypatch):
    """Looks are within the file as far as they fit, unlike ones first; others are a link."""
    states, sized, _ = make_campaign(tmp_path, 60)
    done, known = report.told(sized), looks.titles(states, ())
    shown, within = looks.pictures(done, known, tmp_path)
    assert (len(shown), len(within)) == (looks.MOST_SHOWN, sum(state in SEALED for state in states.values()))
    assert len({tuple(name.split(".")[6:8]) for name in shown}) == looks.MOST_SHOWN
    monkeypatch.setattr(looks, "MOST_PICTURES_BYTES", 3.5 * len(LOOK))
    assert len(looks.pictures(done, known, tmp_path)[1]) == 3


def test_dataset_at_work_is_told(tmp_path):
    """A note says which rule is at work on a dataset that has no size report yet."""
    in_progress.begin(tmp_path, "convert", NAMES[0])
    in_progress.begin(tmp_path, "inventory", NAMES[1])
    at_work = in_progress.at_work(tmp_path, NAMES[:1])
    assert at_work == {NAMES[0]: "convert"}
    at_work |= {NAMES[1]: "inventory"}
    rows = report.rows_of(dict.fromkeys(NAMES[:3], "waiting"), report.told(NOTHING), at_work, tmp_path)
    assert [(state, rule) for _, state, rule, *_ in rows] == [
        ("converting", "convert"),
        ("at work", "inventory"),
        ("waiting", None),
    ]


@pytest.mark.parametrize(
    "states", [{}, {NAMES[0]: "waiting"}, {NAMES[0]: "receipt"}], ids=["none", "waiting", "broken"]
)
def test_campaign_without_results(tmp_path, states):
    """Before anything is verified there is a report too, with no figures to divide."""
    files.write_text(receipts.path_of(tmp_path, "failed", NAMES[0]), "{")
    page = Page("".join(report.render(states, NOTHING, {}, tmp_path, NOW)))
    assert f"0 of {len(states)} dataset" in page.text
    assert ("not as it was written" in page.text) == ("receipt" in states.values())


TAGS = 3
"""Scripts of the page: the data, Vega, its own."""


def hostile_tags(page):
    """Return what hostile text has become: tags that no template has, and scripts."""
    return [tag for tag, attrs in page.tags if tag == "img" and "data-look" not in attrs], len(page.scripts)


def test_hostile_text_is_text(tmp_path):
    """Markup in a message or a remedy is shown as it is written, and in the data it ends no script."""
    page = rendered(tmp_path, 3)
    assert hostile_tags(page) == ([], TAGS)
    assert HOSTILE.strip() in page.text
    assert any(HOSTILE in (values[3] or "") for values in page.data["rows"])


def test_hostile_text_would_be_found(tmp_path, monkeypatch):
    """Without escaping the same text makes tags and scripts: the test before can fail."""
    environment = jinja2.Environment
    monkeypatch.setattr(jinja2, "Environment", lambda **options: environment(**options | {"autoescape": False}))
    assert hostile_tags(rendered(tmp_path, 3)) != ([], TAGS)


def test_text_that_is_no_text_is_written(tmp_path):
    """Half a character, as a file name may have, does not keep the report from being written."""
    leave(
        tmp_path,
        "failed",
        NAMES[0],
        **{"rule": "convert", "class": "source", "message": "/d/caf\udce9.nc: cut off.", "remedy": "Fetch it."},
    )
    text = report.write({NAMES[0]: "source"}, NOTHING, {}, tmp_path).read_text(encoding="utf-8")
    assert "source: cut off (caf?.nc)" in text


def test_page_asks_for_nothing_from_outside(tmp_path):
    """No tag of the page has an address beyond the folder of results, and its policy lets none be asked."""
    page = rendered(tmp_path)
    addresses = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "action") if name in attrs]
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy
