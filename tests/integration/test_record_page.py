"""change.html in a real browser: Debian's Chromium, headless, for 1, 3, 5 and 7 hosts.

Set BUNDLEGEN_SCREENSHOTS to a folder to keep a picture of every page at every width.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import records

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (make setup)")

PROGRAMS = ("chromium", "chromedriver", "pdftotext")
WIDTHS = (360, 1024, 1600)
KINDS: dict[str, dict[str, Any]] = {
    "1": {"count": 1},
    "3": {"count": 3},
    "5": {"count": 5, "long": True},
    "7": {"count": 7, "long": True, "ports": {"client": 12379, "peer": 12380, "metrics": 12381}},
}
LATER: dict[str, dict[str, Any]] = {"configure": {}, "configure-7": {"count": 7, "long": True}}
PAGES = {"1": 6, "3": 12, "configure": 12}
"""How many pages of paper a record may take."""
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

# Every text on the page with its colour, what is behind it, and whether it counts as large (WCAG 2.1, 1.4.3).
CONTRAST = """
const rgb = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const behind = element => {
  for (let each = element; each; each = each.parentElement) {
    const colour = rgb(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  throw new Error('nothing is behind ' + element.textContent);
};
const under = text => {
  const box = text.getBBox(), x = box.x + box.width / 2, y = box.y + box.height / 2;
  for (const rect of [...text.ownerSVGElement.querySelectorAll('rect')].reverse()) {
    const it = rect.getBBox();
    const inside = x >= it.x && x <= it.x + it.width && y >= it.y && y <= it.y + it.height;
    if (inside) return rgb(getComputedStyle(rect).fill);
  }
  return behind(text.ownerSVGElement.parentElement);
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || ['title', 'desc'].includes(element.tagName)) continue;
  const style = getComputedStyle(element), svg = element instanceof SVGElement;
  const a = light(rgb(svg ? style.fill : style.color)), b = light(svg ? under(element) : behind(element));
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  found.push([node.data.trim().slice(0, 40), ratio, large ? 3 : 4.5]);
}
return found;
"""

# In each picture: texts outside the frame, texts that leave the box they start in, and texts that lie on each other.
PICTURES = """
const wrong = [];
for (const svg of document.querySelectorAll('svg')) {
  const frame = svg.viewBox.baseVal;
  const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBBox()]);
  const boxes = [...svg.querySelectorAll('rect.box')].map(rect => rect.getBBox());
  texts.forEach(([words, it], index) => {
    if (it.x < 0 || it.y < 0 || it.x + it.width > frame.width || it.y + it.height > frame.height)
      wrong.push('outside the frame: ' + words);
    for (const box of boxes)
      if (it.x >= box.x && it.x < box.x + box.width && it.y >= box.y && it.y < box.y + box.height
          && (it.x + it.width > box.x + box.width || it.y + it.height > box.y + box.height))
        wrong.push('out of its box: ' + words);
    for (const [other, that] of texts.slice(index + 1))
      if (it.x < that.x + that.width && that.x < it.x + it.width
          && it.y + 3 < that.y + that.height && that.y + 3 < it.y + it.height)
        wrong.push(words + ' lies on ' + other);
  });
}
return wrong;
"""

# What sticks out of the window, but for what scrolls in a frame of its own.
OVERFLOW = """
const root = document.documentElement;
const wrong = [...document.querySelectorAll('body *')].filter(each =>
  !each.closest('.wide > *') && each.getBoundingClientRect().right > root.clientWidth + 0.5);
return [root.scrollWidth - root.clientWidth, wrong.map(each => each.tagName + ' ' + each.textContent.slice(0, 40))];
"""

# On paper, words in tables that are broken (where nothing says that they may be) or that leave their cell or the paper.
NARROW = """
const wrong = [], paper = document.documentElement.clientWidth;
for (const cell of document.querySelectorAll('th, td')) {
  const it = cell.getBoundingClientRect();
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const word of node.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const boxes = range.getClientRects();
      if (boxes.length !== 1 || boxes[0].left < it.left || boxes[0].right > Math.min(it.right, paper))
        wrong.push(word[0]);
    }
  }
}
return wrong;
"""

# Tables of which a part is seen only by moving them sideways.
CUT = """
return [...document.querySelectorAll('.wide')].filter(each => each.querySelector('table')
  && each.scrollWidth > each.clientWidth + 1).map(each => each.ariaLabel);
"""

STRUCTURE = """
const all = query => [...document.querySelectorAll(query)];
return {
  headings: all('h1, h2, h3, h4').map(each => each.tagName),
  unscoped: all('th:not([scope])').length,
  uncaptioned: all('table').filter(each => !each.caption).length,
  pictures: all('svg').map(each => [each.getAttribute('role'), each.getAttribute('aria-labelledby').split(' ')
    .map(id => document.getElementById(id).textContent.length > 0)]),
  broken: all('a[href^="#"]').filter(each => !document.getElementById(each.hash.slice(1))).length,
  ids: all('[id]').length - new Set(all('[id]').map(each => each.id)).size,
  language: document.documentElement.lang,
};
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)} (make setup)"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    # Away from the browser's own first page, which has requests of its own.
    driver.get("about:blank")
    yield driver
    driver.quit()


@pytest.fixture(scope="module", params=[*KINDS, *LATER])
def made(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    kind = request.param
    return kind, records.configured(**LATER[kind]) if kind in LATER else records.change(records.cluster(**KINDS[kind]))


@pytest.fixture
def page(browser: Any, made: tuple[str, dict[str, Any]], tmp_path: Path) -> str:
    """The page's address; opened, in a window of 1024 pixels, light."""
    path = tmp_path / "change.html"
    path.write_bytes(records.rendered(made[1])["change.html"])
    browser.get_log("browser")
    browser.get_log("performance")
    _window(browser, 1024)
    browser.get(path.as_uri())
    return path.as_uri()


def _window(browser: Any, width: int, scheme: str = "light") -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})


def test_no_error_and_no_request(browser: Any, page: str) -> None:
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = [each["request"]["url"] for each in sent if each["documentURL"] == page]
    assert page in asked
    assert [url for url in asked if url != page and not url.startswith("data:")] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows(browser: Any, page: str, made: tuple[str, Any], width: int) -> None:
    _window(browser, width)
    assert browser.execute_script(OVERFLOW) == [0, []]
    assert browser.execute_script(CUT) == []
    if folder := os.environ.get("BUNDLEGEN_SCREENSHOTS"):
        _screenshot(browser, width, Path(folder) / f"{made[0]}-{width}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser: Any, page: str, scheme: str) -> None:
    _window(browser, 1024, scheme)
    found = browser.execute_script(CONTRAST)
    assert len(found) > 100
    assert [each for each in found if each[1] < each[2]] == []
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_pictures_fit(browser: Any, page: str) -> None:
    assert browser.execute_script("return document.querySelectorAll('svg text').length") > 10
    assert browser.execute_script(PICTURES) == []


def test_structure(browser: Any, page: str, made: tuple[str, Any]) -> None:
    found = browser.execute_script(STRUCTURE)
    assert found["headings"] == ["H1"] + ["H2"] * (13 if made[0] in LATER else 12)
    assert found["pictures"] == [["img", [True, True]]] * 2
    assert (found["unscoped"], found["uncaptioned"], found["broken"], found["ids"]) == (0, 0, 0, 0)
    assert found["language"] == "en"


@pytest.mark.parametrize(("paper", "size"), [("A4", (8.27, 11.69)), ("Letter", (8.5, 11.0))])
def test_print(
    browser: Any, page: str, made: tuple[str, Any], paper: str, size: tuple[float, float], tmp_path: Path
) -> None:
    """Every section, and every sum and path whole: nothing is cut off at the edge of the paper."""
    options = {"paperWidth": size[0], "paperHeight": size[1], "printBackground": False, "preferCSSPageSize": False}
    pdf = tmp_path / f"{paper}.pdf"
    pdf.write_bytes(base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", options)["data"]))
    done = subprocess.run(["pdftotext", "-raw", pdf, "-"], capture_output=True, text=True, check=True)
    printed = "".join(done.stdout.split())
    titles = browser.execute_script("return [...document.querySelectorAll('h1, h2')].map(each => each.textContent)")
    assert len(titles) == (14 if made[0] in LATER else 13)
    assert done.stdout.count("\f") <= PAGES.get(made[0], 20)
    wanted = [*titles, made[1]["installer"]["sha256"], *(host["sha256"] for host in made[1]["hosts"])]
    wanted += [file[key] for host in made[1]["hosts"] for file in host["files"] for key in ("path", "sha256")]
    assert [each for each in wanted if "".join(each.split()) not in printed] == []
    if folder := os.environ.get("BUNDLEGEN_SCREENSHOTS"):
        shutil.copy(pdf, Path(folder) / f"{made[0]}-{paper}.pdf")


@pytest.mark.parametrize("width", [688, 710])
def test_no_column_on_paper_is_narrower_than_its_longest_word(browser: Any, page: str, width: int) -> None:
    """The width of A4 and of Letter without their margins, in CSS pixels."""
    _window(browser, width)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.execute_script("return document.querySelectorAll('th, td').length") > 100
    assert browser.execute_script(NARROW) == []
    rule = "tbody th { width: 1%; min-width: 0 !important; overflow-wrap: anywhere }"
    browser.execute_script(
        f"document.head.append(Object.assign(document.createElement('style'), {{textContent: '{rule}'}}))"
    )
    assert "Downtime" in browser.execute_script(NARROW)


def _screenshot(browser: Any, width: int, path: Path) -> None:
    height = browser.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    options = {"captureBeyondViewport": True, "clip": clip}
    path.write_bytes(base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", options)["data"]))
