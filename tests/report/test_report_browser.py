"""The campaign report as a person sees it, in Chromium: search, sort, one dataset, and nothing from outside."""

import os
import shutil
from contextlib import contextmanager

import pytest
from campaigns import HOSTILE, make_campaign
from playwright.sync_api import expect, sync_playwright

from cmip6zarr.campaign.findings import WITH_FINDINGS
from cmip6zarr.report import looks, report

pytestmark = pytest.mark.browser

COUNT = 1200
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium of this machine; the test is skipped without, or fails with CMIP6ZARR_REQUIRE_BROWSER."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        reason = f"no Chromium: none of {', '.join(NAMES)} is on the PATH"
        if os.environ.get("CMIP6ZARR_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as play:
        # Root, as in a container, has no sandbox to run it in.
        started = play.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield started
        started.close()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """The report of a large campaign, in most states, with hostile messages; and the states."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        states, sized, at_work = make_campaign(results, COUNT)
    return report.write(states, sized, at_work, results), states


@contextmanager
def opened(browser, path, fragment="", **options):
    """Open a report and yield its page; in the end nothing may have gone wrong, and nothing been asked for."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: wrong.append(request.url) if not beside(request.url, path) else None)
    page.goto(path.as_uri() + fragment)
    page.wait_for_selector("#chart-objects canvas")
    yield page
    page.close()
    assert wrong == []


def beside(url, path):
    return url.startswith(("data:", "blob:", path.parent.as_uri()))


def rows(page):
    """Return the rows of the table that are in the page, from top to bottom: the words of each cell."""
    return [row.locator("[role=cell]").all_inner_texts() for row in page.locator("#space [role=row]").all()]


def test_only_rows_in_sight_are_drawn(browser, campaign):
    """Of thousands of datasets a few dozen rows are in the page, and scrolling brings the last."""
    path, states = campaign
    with opened(browser, path) as page:
        assert page.inner_text("#found") == "1,200 of 1,200"
        assert 10 <= len(rows(page)) < 60
        page.evaluate("document.getElementById('scroll').scrollTop = 1e9")
        page.wait_for_selector(f"a[title='{list(states)[-1]}']")
        assert len(rows(page)) < 60


def test_search_narrows_the_rows(browser, campaign):
    """Every word must be somewhere in a row: in the id, the state or the message; quotes and brackets are letters."""
    path, states = campaign
    with opened(browser, path) as page:
        page.fill("#search", "MIROC6  historical R7i1p1f1")
        expected = [name for name in states if all(word in name for word in ("MIROC6", "historical", "r7i1p1f1"))]
        expect(page.locator("#found")).to_have_text(f"{len(expected)} of 1,200")
        assert len(rows(page)) == len(expected) > 0
        page.fill("#search", "no such (dataset")
        page.wait_for_selector("text=No dataset is like that.")


def test_state_chooses_rows(browser, campaign):
    """A state in the head leads to its datasets."""
    path, states = campaign
    with opened(browser, path) as page:
        page.click(".states button[data-state=memory]")
        count = sum(state == "memory" for state in states.values())
        assert page.inner_text("#found") == f"{count} of 1,200"
        assert {row[-1] for row in rows(page)} == {"memory"}


def test_columns_sort(browser, campaign):
    """Numbers begin with the largest, then with the smallest; what has none comes last; texts begin with A."""
    path, _ = campaign
    with opened(browser, path) as page:
        for order, sign in (("descending", -1), ("ascending", 1)):
            page.click("#head button:text('Ratio')")
            ratios = [float(row[3]) for row in rows(page)]
            assert ratios == sorted(ratios, key=lambda ratio: sign * ratio)
            assert page.get_attribute("#head [role=columnheader]:nth-child(4)", "aria-sort") == order
        page.evaluate("document.getElementById('scroll').scrollTop = 1e9")
        expect(page.locator("#space [role=row]").last).to_have_attribute("aria-rowindex", str(COUNT + 1))
        assert rows(page)[-1][3] == ""
        page.click("#head button:text('State')")
        assert rows(page)[0][-1] == "bug"


def test_dataset_has_its_look_and_links(browser, campaign):
    """A row opens the dataset: picture, facts, links to receipts and logs beside the report; its address is kept."""
    path, states = campaign
    name = next(name for name, state in states.items() if state == "verified")
    with opened(browser, path) as page:
        page.fill("#search", name)
        expect(page.locator("#found")).to_have_text("1 of 1,200")
        page.click("#space [role=row]")
        page.wait_for_selector("#detail[open]")
        assert page.inner_text("#detail code") == name
        links = page.eval_on_selector_all("#detail .links a", "links => links.map(link => link.getAttribute('href'))")
        assert f"verify/{name}.json" in links
        assert f"logs/convert/{name}.log" in links
        assert page.evaluate("document.querySelector('#detail img').decode().then(() => true)")
        page.keyboard.press("Escape")
        page.wait_for_selector("#detail:not([open])", state="attached")
        page.wait_for_function("!location.href.includes('#')")  # the event of closing comes a moment later
    with opened(browser, path, f"#{name}") as page:
        assert page.inner_text("#detail code") == name


def test_dataset_says_where_its_store_is(browser, campaign):
    """The store's place and the line that opens it can be copied; its sources, period and remedy are told."""
    path, states = campaign
    name = next(name for name, state in states.items() if state == "verified")
    with opened(browser, path, f"#{name}") as page:
        store = f"/stores/{name.replace('.', '/')}.zarr"
        codes = page.locator("#detail .copied code").all_inner_texts()
        assert codes == [store, f'xr.open_zarr("{store}")']
        page.locator("#detail .copy").first.click()
        expect(page.locator("#detail .copy").first).to_have_text("Copied")
        assert f"in /archive/{name.replace('.', '/')}" in page.inner_text("#detail")
        assert "185001-201412" in page.inner_text("#detail")
    refused = next(name for name, state in states.items() if state == "refused")
    with opened(browser, path, f"#{refused}") as page:
        assert "What to do: Get the missing files" in page.inner_text("#detail")


def test_models_and_tables_lead_to_their_datasets(browser, campaign):
    """A cell counts the datasets of a model and a table, and shows them."""
    path, states = campaign
    names = [name for name in states if ".MIROC6." in name and ".Amon." in name]
    good = sum(states[name].startswith("verified") for name in names)
    with opened(browser, path) as page:
        row = page.locator("#models tr", has=page.locator("th:text-is('MIROC6')"))
        row.locator("button").first.click()
        assert row.locator("button").first.inner_text().strip() == f"{good}/{len(names)}"
        expect(page.locator("#found")).to_have_text(f"{len(names)} of 1,200")


def test_look_beside_the_report_is_loaded(browser, monkeypatch, tmp_path):
    """A picture that is not within the file is read from the folder beside it."""
    monkeypatch.setattr(looks, "MOST_PICTURES_BYTES", 0)
    states, sized, at_work = make_campaign(tmp_path, 3)
    path = report.write(states, sized, at_work, tmp_path)
    with opened(browser, path, f"#{next(iter(states))}") as page:
        assert page.get_attribute("#detail img", "src").startswith("look/")
        assert page.evaluate("document.querySelector('#detail img').decode().then(() => true)")


def test_hostile_message_is_inert(browser, campaign):
    """Markup in a message is shown as text, in the table and in the dataset's own view."""
    path, states = campaign
    name = next(name for name, state in states.items() if state == "refused")
    with opened(browser, path, f"#{name}") as page:
        assert HOSTILE.strip() in page.inner_text("#detail .text")
        assert page.locator("img[src=x]").count() == 0


LEAST_CONTRAST = r"""() => {
  const light = colour => {
    const part = n => (n /= 255) <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.match(/[0-9.]+/g).map(part);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = node => {
    const colour = getComputedStyle(node).backgroundColor;
    return /, 0\)$/.test(colour) ? ground(node.parentElement) : light(colour);
  };
  const contrast = node => {
    const [dark, bright] = [light(getComputedStyle(node).color), ground(node)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const words = document.querySelectorAll("h1, h2, h3, p, a, small, dt, dd, button, label, figcaption, [role=cell]");
  return Math.min(...[...words].filter(node => node.innerText.trim()).map(contrast));
}"""
"""WCAG's ratio of the words that stand out least from their ground."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read(browser, campaign, scheme):
    """Words stand out from their ground by 4.5 to 1 at least, in the light and in the dark."""
    path, _ = campaign
    with opened(browser, path, color_scheme=scheme) as page:
        assert page.evaluate(LEAST_CONTRAST) >= 4.5


def test_what_was_let_pass_is_seen(browser, campaign):
    """Stores with findings have a state and a section of their own, with text that is inert, and say what they have."""
    path, states = campaign
    names = [name for name, state in states.items() if state == WITH_FINDINGS]
    with opened(browser, path) as page:
        section = page.locator("section", has=page.locator("h2:text('What was let pass')"))
        assert f"{len(names)} stores are verified, with findings" in section.inner_text()
        assert HOSTILE.split("<img")[0].strip() in section.inner_text()
        assert section.locator("img").count() == 0
        section.locator("button").first.click()
        expect(page.locator("#found")).to_have_text(f"{len(names)} of 1,200")
        assert {row[-1] for row in rows(page)} == {WITH_FINDINGS}
    first = names[0]
    with opened(browser, path, f"#{first}") as page:
        assert "Let pass: gap 1" in page.inner_text("#detail")
        links = page.eval_on_selector_all("#detail .links a", "links => links.map(link => link.getAttribute('href'))")
        assert links[0] == f"findings/{first}.json"
        assert (path.parent / links[0]).is_file()
