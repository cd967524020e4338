"""The page in a real browser, without a network: it loads in silence, and sorting, filtering and switching work."""

import csv
import io
import json
import shutil

import pytest
from fabricated_results import HOSTILE, ROWS, fabricate, wanted

from regimebench.report import report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
    pytest.mark.xdist_group("browser"),
]
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1440,900")
PATIENCE = 300  # seconds: a machine that does much else is slow, and no reason to fail
BOARD = "section:not(.away) [data-view=board] tbody tr"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    sets = [
        fabricate(folder, title=f"Made-up {HOSTILE}"),
        fabricate(folder, "second", "Second set", rows=ROWS[:6], shape=(60, 6, 6, 1), planted=False),
    ]
    report(wanted(folder, *sets), folder / "report" / "index.html")
    return (folder / "report" / "index.html").as_uri()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chrome(downloads):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.command_executor.client_config.timeout = PATIENCE
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture
def shown(chrome, page):
    """Open the page afresh at the width of a desk; return what evaluates JavaScript."""
    size(chrome, 1440)
    chrome.get(page)
    return chrome.execute_script


def size(chrome, width, **media):
    device = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def names(shown, selector=f"{BOARD} th"):
    return shown(f"return [...document.querySelectorAll('{selector}')].map(cell => cell.dataset.value)")


def choose(shown, name, value, event="change"):
    shown(
        "const each = document.getElementById(arguments[0]); each.value = arguments[1]; "
        "each.dispatchEvent(new Event(arguments[2], {bubbles: true}))",
        *(name, value, event),
    )


def test_it_loads_in_silence_and_asks_for_nothing(chrome, shown):
    chrome.get_log("performance")
    chrome.refresh()
    assert shown("return document.documentElement.dataset.ready") == "yes"
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert [url for url in asked if url.startswith("file:")] == [chrome.current_url]
    assert chrome.get_log("browser") == []


def test_text_from_outside_stays_text(shown):
    assert shown("return document.querySelectorAll('img[src=x]').length") == 0
    assert HOSTILE in shown("return document.querySelector('section.dataset h2').textContent")


def test_every_header_sorts_and_says_so(shown):
    by_score = names(shown)
    assert by_score[0] == "kmeans"
    assert by_score[-1] == "beta_twin", "twins last"
    head = "document.querySelector('[data-view=board] thead th')"
    shown(f"{head}.querySelector('button').click()")
    assert names(shown) == sorted(by_score)
    assert shown(f"return {head}.getAttribute('aria-sort')") == "ascending"
    shown(f"{head}.querySelector('button').click()")
    assert names(shown) == sorted(by_score, reverse=True)
    values = (
        "const all = [...document.querySelectorAll('table.data')];"
        "const table = all.find(t => t.dataset.name.endsWith('standard protocol'));"
        "table.tHead.rows[0].cells[2].querySelector('button').click();"
        "return [...table.tBodies[0].rows].map(row => parseFloat(row.cells[2].textContent.replace('\\u2212', '-')))"
    )
    found = shown(values)
    assert found == sorted(found, reverse=True), "more is better, so the highest stands first"


def test_rows_are_filtered_by_name_and_kind_in_every_view(chrome, shown):
    choose(shown, "filter", "alpha", "input")
    wait(chrome, lambda: len(names(shown)) == 3)
    assert set(names(shown)) == {"alpha", "alpha/untrained", "alpha/other"}
    strips = "[...document.querySelectorAll('section:not(.away) .strip[data-row]')].filter(e => !e.hidden).length"
    assert shown(f"return {strips}") == 3
    assert "3 of 7 rows" in shown("return document.getElementById('status').textContent")
    shown("document.getElementById('controls').click()")
    assert set(names(shown)) == {"alpha", "alpha/other"}
    shown("document.getElementById('variants').click()")
    assert names(shown) == ["alpha"]
    choose(shown, "filter", "nothing like it", "input")
    wait(
        chrome,
        lambda: "No run that is shown" in shown("return document.querySelector('[data-view=board]').textContent"),
    )


def wait(chrome, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(chrome, 60).until(lambda _: condition())


def test_metric_and_data_set_are_switched(shown):
    first = names(shown)
    choose(shown, "metric", "standard.davies_bouldin")
    text = shown("return document.querySelector('section:not(.away) .metric-name').textContent")
    assert text.startswith("Davies-Bouldin (protocol standard; lower is better)")
    medians = shown(f"return [...document.querySelectorAll('{BOARD} .value')].map(c => Number(c.dataset.value))")
    assert medians[:-1] == sorted(medians[:-1]), "lowest first, the twin last"
    choose(shown, "dataset", "second")
    visible = "return [...document.querySelectorAll('section.dataset:not(.away)')].map(s => s.dataset.id)"
    assert shown(visible) == ["second"]
    assert shown("return document.getElementById('metric').value") == "standard.davies_bouldin", "the metric is kept"
    assert set(names(shown)) == set(first) - {"beta_twin"}
    choose(shown, "dataset", "made")
    choose(shown, "metric", "truth.ari")
    choose(shown, "dataset", "second")
    assert shown("return document.getElementById('metric').value") == "standard.silhouette", "which has no truth"


def test_maps_follow_the_chosen_row(shown):
    options = "section:not(.away) .portrait-choice option"
    rows = shown(f"return [...document.querySelectorAll('{options}')].map(o => o.value)")
    shown(
        "const s = document.querySelector('section:not(.away) .portrait-choice'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('change'))",
        rows[1],
    )
    seen = (
        "return [...document.querySelectorAll('section:not(.away) .portrait:not(.away)')].map(p => p.dataset.address)"
    )
    assert shown(seen) == [rows[1]]
    assert shown("return document.querySelectorAll('.portrait:not(.away) svg.map:not([aria-label])').length") == 0


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_text_can_be_read(chrome, page, width, theme):
    size(chrome, width, prefers_color_scheme=theme)
    chrome.get(page)
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
    outside = """
      const free = e => e.checkVisibility() && !e.closest('.scroll, svg, .hidden');
      const wide = e => free(e) && e.getBoundingClientRect().right > innerWidth + 1;
      return [...document.querySelectorAll('main *')].filter(wide).map(e => e.outerHTML.slice(0, 80));
    """
    assert chrome.execute_script(outside) == []
    ink, paper = chrome.execute_script("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")
    assert (brightness(paper) < 60) == (theme == "dark")
    assert abs(brightness(ink) - brightness(paper)) > 150


def brightness(colour):
    return sum(float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


def test_the_switch_of_colours_works_and_says_what_it_does(shown):
    before = shown("return getComputedStyle(document.body).backgroundColor")
    shown("document.getElementById('theme').click()")
    assert shown("return getComputedStyle(document.body).backgroundColor") != before
    assert "light" in shown("return document.getElementById('theme').getAttribute('aria-label')")


def test_controls_are_reached_by_keyboard_and_pictures_have_words(chrome, shown):
    from selenium.webdriver.common.keys import Keys

    seen = []
    for _ in range(12):
        chrome.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(shown("const e = document.activeElement; return e.id || e.className || e.tagName"))
    assert {"dataset", "metric", "filter", "controls", "variants", "twins"} <= set(seen)
    assert shown("return document.querySelectorAll('img:not([alt])').length") == 0
    unnamed = "svg[role=img]:not([aria-label]), button:empty, .scroll:not([tabindex])"
    assert shown(f"return document.querySelectorAll('{unnamed}').length") == 0
    unlabelled = "[...document.querySelectorAll('select, input')].filter(e => !e.labels.length && !e.ariaLabel).length"
    assert shown(f"return {unlabelled}") == 0


def test_tables_and_runs_are_downloaded(chrome, shown, downloads):
    chrome.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    shown("document.querySelector('[data-runs=made]').click()")
    path = downloads / "made.runs.csv"
    wait(chrome, path.is_file)
    wait(chrome, lambda: path.stat().st_size > 0)
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(rows) == 25
    assert {row["status"] for row in rows} == {"ok", "error", "degenerate"}
    assert all((row["standard.silhouette"] == "") == (row["status"] != "ok") for row in rows)
    shown("document.querySelector('[data-view=board] .csv').click()")
    wait(chrome, lambda: any("comparison" in each.name and each.suffix == ".csv" for each in downloads.iterdir()))


def test_paper_shows_every_data_set_in_black_on_white(chrome, shown):
    size(chrome, 1440, prefers_color_scheme="dark")
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown("dispatchEvent(new Event('beforeprint'))")
    assert shown("return [...document.querySelectorAll('section.dataset')].every(s => s.checkVisibility())")
    assert shown("return document.querySelectorAll('[data-view=board] table').length") == 2
    assert not shown("return document.getElementById('bar').checkVisibility()")
    assert brightness(shown("return getComputedStyle(document.body).backgroundColor")) == 255
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
