"""The page of capstan serve in a real browser: pictures in, captions out, no script complains, nothing from outside."""

import base64
import os
import pathlib

import browser
import pytest
import serve_load
from serving import serving

CAPTIONS = "[...document.querySelectorAll('#results .caption')].map((line) => line.textContent)"
DONE = "document.querySelectorAll('#results .note').length === {count} && !/Looking/.test(document.body.innerText)"


@pytest.fixture(scope="module")
def pictures(dataset):
    return sorted((dataset / "validation").glob("*.jpg"))[:3]


@pytest.fixture(scope="module")
def captions(capstan, run, pictures):
    return serve_load.reference_captions(capstan.path, run, pictures, capstan.environment())


@pytest.fixture(scope="module")
def served(capstan, run, tmp_path_factory):
    log = tmp_path_factory.mktemp("serve") / "log"
    with serving(capstan.path, run, log, environment=capstan.environment()) as server:
        yield server


@pytest.fixture
def page(served, tmp_path):
    path = browser.find_browser()
    if not path:
        pytest.skip("no browser; on Debian: apt-get install chromium")
    with browser.browsing(tmp_path / "profile", path) as page:
        page.open(served.url)
        yield page


def picture_of(page, name):
    """A screenshot into the folder that CAPSTAN_SCREENSHOTS names, for a person to look at."""
    folder = os.environ.get("CAPSTAN_SCREENSHOTS")
    if folder:
        data = page.ask("Page.captureScreenshot", format="png")["data"]
        (pathlib.Path(folder) / name).write_bytes(base64.b64decode(data))


def test_chosen_pictures_get_their_captions(page, served, pictures, captions):
    assert page.evaluate("document.title").startswith("Capstan")
    page.choose_files("#file", pictures)
    page.wait_for(DONE.format(count=3))
    picture_of(page, "page.png")
    # The newest stands first.
    assert page.evaluate(CAPTIONS) == [captions[file.name] for file in reversed(pictures)]
    alternatives = page.evaluate("[...document.querySelectorAll('#results img')].map((image) => image.alt)")
    assert alternatives == page.evaluate(CAPTIONS)
    assert page.evaluate("[...document.querySelectorAll('#results img')].every((i) => i.complete && i.naturalWidth)")
    assert pictures[0].name in page.evaluate("document.querySelector('#results li:last-child .note').textContent")
    assert page.complaints == []
    outside = [url for url in page.requests if not url.startswith((served.url, "blob:", "data:"))]
    assert outside == []


def test_a_dropped_picture_gets_its_caption(page, pictures, captions):
    page.drop_files(300, 150, pictures[1:2])
    page.wait_for(DONE.format(count=1))
    assert page.evaluate(CAPTIONS) == [captions[pictures[1].name]]
    assert page.complaints == []


def test_a_file_that_is_no_picture_says_so(page, tmp_path):
    file = tmp_path / "notes.jpg"
    file.write_text("this is no picture")
    page.choose_files("#file", [file])
    page.wait_for(DONE.format(count=1))
    picture_of(page, "error.png")
    assert "notes.jpg" in page.evaluate(CAPTIONS)[0]
    assert page.evaluate("document.querySelectorAll('#results .wrong').length") == 1


def test_the_page_can_be_used_without_a_mouse(page):
    page.evaluate("document.body.focus()")
    page.ask("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert page.evaluate("document.activeElement.id") == "file"
    names = {node["role"]["value"]: node["name"]["value"] for node in page.ask("Accessibility.getFullAXTree")["nodes"]
             if node.get("role") and node.get("name") and node["name"].get("value")}
    assert names["heading"] == "Captions for pictures"
    assert any("Choose pictures" in name for name in names.values())


def test_several_captions_are_listed_with_scores(capstan, run, page, pictures, tmp_path):
    with serving(
        capstan.path, run, tmp_path / "log", "alternatives=3", environment=capstan.environment()
    ) as server:
        page.open(server.url)
        page.choose_files("#file", pictures[:1])
        page.wait_for(DONE.format(count=1))
        picture_of(page, "alternatives.png")
        lines = page.evaluate("[...document.querySelectorAll('#results ol li')].map((line) => line.textContent)")
        assert len(lines) == 3
        assert lines[0].startswith(page.evaluate(CAPTIONS)[0])
        assert page.complaints == []
