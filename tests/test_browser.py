"""The report's page in a browser, Debian's Chromium: its pictures show, and its sliders move them."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ok
from PIL import Image

import vlcodec

pytestmark = pytest.mark.browser
SAMPLE = Path(__file__).parents[1] / "samples" / "landscape.png"
LOADED = "return [...document.images].map((i) => [i.id, i.complete && i.naturalWidth, i.complete && i.naturalHeight])"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,2600", "--hide-scrollbars"):
        options.add_argument(argument)
    found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield found
    found.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a sample's middle, 192 x 176."""
    folder = tmp_path_factory.mktemp("page")
    with Image.open(SAMPLE) as image:
        image.crop((96, 40, 288, 216)).save(folder / "a.png")
    ok("rate", "a.png", "--html", "a.html", cwd=folder)
    return folder / "a.html"


def shown(browser: Any, element: str) -> np.ndarray[Any, Any]:
    """(H, W, 3) of an element, as the browser paints it."""
    data = browser.find_element("id", element).screenshot_as_png
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def drag(browser: Any, element: str, share: float) -> None:
    """Move a slider's knob with the mouse, to a share of its way."""
    from selenium.webdriver import ActionChains

    slider = browser.find_element("id", element)
    lowest, highest, now = (float(slider.get_property(name)) for name in ("min", "max", "value"))
    way = slider.size["width"] - 16  # the knob is 16 pixels wide
    start = (now - lowest) / (highest - lowest)
    chain = ActionChains(browser).move_to_element_with_offset(slider, round((start - 0.5) * way), 0).click_and_hold()
    chain.move_by_offset(round((share - start) * way), 0).release().perform()


def test_pictures_show_and_sliders_move_them(browser: Any, page: Path, tmp_path: Path) -> None:
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []  # no error, nothing asked of the network
    for name, width, height in browser.execute_script(LOADED):
        assert (width, height) == (192, 176), name
    assert browser.find_element("id", "said").text.startswith("1: ")

    original = np.asarray(Image.open(page.with_name("a.png"))).astype(int)
    drag(browser, "quality", 1)
    assert browser.find_element("id", "said").text.startswith("4: ")
    drag(browser, "wipe", 0)
    at_best = shown(browser, "again")
    drag(browser, "quality", 0)
    assert browser.find_element("id", "said").text.startswith("1: ")
    at_worst = shown(browser, "again")
    enlarged = np.asarray(Image.fromarray(original.astype(np.uint8)).resize(at_best.shape[1::-1])).astype(int)
    errors = [np.abs(made - enlarged)[8:-8, 8:-8].mean() for made in (at_best, at_worst)]
    assert 0 < errors[0] < errors[1] < 40  # the picture itself, the better at the better quality

    drag(browser, "wipe", 1)  # the original covers all of it
    covered = shown(browser, "original")
    assert np.abs(covered - enlarged)[8:-8, 8:-8].mean() < errors[0]
    browser.save_screenshot(tmp_path / "page.png")
    assert np.asarray(Image.open(tmp_path / "page.png").convert("L")).std() > 20


def test_each_codec_shows(browser: Any, page: Path) -> None:
    from selenium.webdriver import Keys

    browser.get(page.as_uri())
    choice = browser.find_element("id", "shown")
    seen = {}
    while (name := choice.get_property("value")) not in seen:
        browser.execute_async_script("document.getElementById('again').decode().then(arguments[0])")
        seen[name] = shown(browser, "again").tobytes()
        choice.send_keys(Keys.DOWN)  # stays on the last one
    assert list(seen)[:4] == ["sample", "mean", "JPEG", "WebP"]
    assert len(set(seen.values())) == len(seen)


def test_the_map_shows_where_the_bits_are(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    bits = vlcodec.bit_map(page.with_name("a.png"))
    painted = shown(browser, "heat").sum(2)
    size, nearest = painted.shape[1::-1], Image.Resampling.NEAREST
    expected = np.asarray(Image.fromarray(bits.astype(np.float32)).resize(size, nearest))
    assert np.corrcoef(painted.ravel(), expected.ravel())[0, 1] > 0.9
