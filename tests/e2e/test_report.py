"""report.html in a real browser: curves are there, no script complains, nothing comes from outside; and the texts of
`capstan compare` and `inspect` about the same runs."""

import base64
import json
import os
import pathlib

import browser
import fake_run
import pytest

CURVES = ("Loss", "Evaluation scores", "Learning rate", "Gradient norm", "Throughput", "Tokens", "Waiting for data",
          "FLOP utilisation", "Memory")  # fmt: skip
LINE_OF = """(title) => {
  const line = document.querySelector(`svg[aria-label="${title}"] path.line`);
  const box = line.getBoundingClientRect();
  return [box.width, box.height, line.getTotalLength(), getComputedStyle(line).stroke];
}"""
ROUGH = "a <script>document.title = 'taken over'</script> \"dog\" & <img src=http://example.com/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(capstan, tmp_path_factory):
    folder = fake_run.write_run(tmp_path_factory.mktemp("runs") / "coco")
    samples = json.loads((folder / "samples.json").read_text())
    samples["captions"][-1]["captions"][0] = ROUGH
    (folder / "samples.json").write_text(json.dumps(samples))
    result = capstan("report", folder, check=True)
    assert result.stdout.strip() == str(folder / "report.html")
    return folder


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    path = browser.find_browser()
    if not path:
        pytest.skip("no browser; on Debian: apt-get install chromium")
    with browser.browsing(tmp_path_factory.mktemp("profile"), path) as page:
        page.ask("Emulation.setDeviceMetricsOverride", width=1280, height=1000, deviceScaleFactor=1, mobile=False)
        page.open((folder / "report.html").as_uri())
        yield page


def set_scheme(page, scheme):
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def picture_of(page, name):
    """A screenshot of the whole page into the folder that CAPSTAN_SCREENSHOTS names, for a person to look at."""
    folder = os.environ.get("CAPSTAN_SCREENSHOTS")
    if folder:
        data = page.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        (pathlib.Path(folder) / name).write_bytes(base64.b64decode(data))


def test_every_curve_is_drawn(page):
    for title in CURVES:
        width, height, length, _ = page.evaluate(f"({LINE_OF})({json.dumps(title)})")
        assert width > 300 and length > width - 1, title
        assert height > 5 or title == "Memory", title
    assert page.evaluate("document.querySelectorAll('svg[aria-label=Loss] path.line').length") == 3
    assert page.evaluate("document.querySelectorAll('svg[aria-label=Loss] .mark').length") == 2


def test_light_and_dark_are_both_readable(page):
    seen = {}
    for scheme in ("light", "dark"):
        set_scheme(page, scheme)
        picture_of(page, f"report_{scheme}.png")
        style = "getComputedStyle(document.querySelector('{}')).{}"
        seen[scheme] = [page.evaluate(style.format("body", name)) for name in ("backgroundColor", "color")]
        seen[scheme].append(page.evaluate(f"({LINE_OF})('Loss')")[3])
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"], strict=True)), seen


def test_pointing_at_a_curve_shows_the_values(page):
    box = page.evaluate(
        "(() => { const b = document.querySelector('svg[aria-label=\"Evaluation scores\"]').getBoundingClientRect();"
        "return [b.left + b.width * 0.6, b.top + b.height * 0.6]; })()"
    )
    visible = "[...document.querySelectorAll('.tip')].filter((t) => getComputedStyle(t).visibility === 'visible')"
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert page.evaluate(visible + ".length") == 0
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=int(box[0]), y=int(box[1]))
    (tip,) = page.evaluate(visible + ".map((t) => t.textContent)")
    assert "step" in tip and "rougeL" in tip and "0.4" in tip


def test_captions_are_shown_with_their_pictures_as_they_are(page):
    assert page.evaluate("[...document.querySelectorAll('article img')].map((i) => i.naturalWidth)") == [224] * 6
    latest = page.evaluate("document.querySelector('article .now').textContent")
    assert latest == ROUGH
    past = page.evaluate("[...document.querySelectorAll('article')][1].querySelector('.past').innerText")
    assert "two children" in past and "a a a a a" in past
    assert page.evaluate("document.querySelectorAll('#samples script').length") == 0


def test_tables_hold_scores_events_and_environment(page):
    rows = page.evaluate("document.querySelectorAll('#evaluations tbody tr').length")
    assert rows == 12
    assert page.evaluate("document.querySelectorAll('#evaluations .best').length") == 5
    assert "loss_spike" in page.evaluate("document.querySelector('#events').innerText")
    assert "NVIDIA GeForce RTX 4090" in page.evaluate("document.querySelector('#environment').innerText")
    assert "captions_per_image: all" in page.evaluate("document.querySelector('#config pre').textContent")


def test_the_page_fits_a_telephone(page):
    page.ask("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=2, mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture_of(page, "report_phone.png")
    page.ask("Emulation.clearDeviceMetricsOverride")


def test_no_script_complains_and_nothing_comes_from_outside(page, folder):
    assert page.evaluate("document.title") == "coco: training report"
    assert page.evaluate("document.scripts.length") == 0
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("file://", "data:"))] == []
    assert [url for url in page.requests if url.startswith("file://")] == [(folder / "report.html").as_uri()]
    assert (folder / "report.html").stat().st_size < 1_500_000


def test_a_real_run_has_a_report(capstan, run):
    text = pathlib.Path(capstan("report", run, check=True).stdout.strip()).read_text()
    assert 'aria-label="Loss"' in text and "checkpoint-120" in text


def test_compare_puts_two_runs_side_by_side(capstan, folder, tmp_path):
    other = fake_run.write_run(tmp_path / "other", floor=1.5, rate=1e-4, seed=2, events=False)
    text = capstan("compare", folder, other, "width=90", check=True).stdout
    assert "eval rougeL, best" in text and "training loss over steps" in text
    assert "train.learning_rate" in text and "5e-05" in text and "0.0001" in text
    assert all(len(line) <= 90 for line in text.splitlines() if not line.startswith(("A: ", "B: ")))


def test_inspect_shows_speed_events_and_scores(capstan, folder):
    text = capstan("inspect", folder, check=True).stdout
    assert "captions/s 61" in text and "2 update_skipped" in text
    assert "rougeL" in text and "loss over steps" in text


@pytest.mark.parametrize("command", ["report", "compare"])
def test_what_is_no_run_is_refused(capstan, folder, tmp_path, command):
    arguments = [tmp_path] if command == "report" else [folder, tmp_path]
    result = capstan(command, *arguments)
    assert result.returncode == 1 and f"{tmp_path}: not a run" in result.stderr
    assert capstan(command).returncode == 2
    assert capstan(command, *arguments, "colour=red").returncode == 2
    assert not (tmp_path / "report.html").exists()
