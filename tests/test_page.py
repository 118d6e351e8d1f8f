"""The page that `serve` shows, in Chromium, with a stand-in for the networks."""

import base64
import json
import shutil
import tempfile

import pytest
from fake_servable import BROKEN, NO_PICTURE, TREE, FakeServable, picture_of, running

from modnet_keras.serving.server import LARGEST_BODY

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DROP = """
const [name, type, text, target] = arguments;
const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const dataTransfer = new DataTransfer();
dataTransfer.items.add(new File([bytes], name, { type }));
for (const kind of ["dragenter", "dragover", "drop"])
  target.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
"""
PASTE = """
const clipboardData = new DataTransfer();
if (arguments[0]) {
  const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
  clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
}
document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
"""
BRANCHES = {
    "animals": None,
    "canines": "animals",
    "felines": "animals",
    "retrievers-golden-labrador-and-flat-coated.v2_with_a_very_long_name_indeed": "canines",
    "lynx": "felines",
    "wolf": "canines",
}


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    for program in (CHROMIUM, DRIVER):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not there (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(DRIVER)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield driver
        finally:
            driver.quit()


class Page:
    """What a test does with the page and reads off it."""

    def __init__(self, browser, port):
        self.browser = browser
        browser.get(f"http://127.0.0.1:{port}/")

    def __getitem__(self, name):
        return self.browser.find_element("id", name)

    def drop(self, name, contents, on="drop"):
        text = base64.b64encode(contents).decode()
        self.browser.execute_script(DROP, name, "", text, self[on])

    def paste(self, contents):
        self.browser.execute_script(PASTE, base64.b64encode(contents).decode())

    def wait(self, name, text):
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.browser, 10, 0.02).until(
            lambda _: self[name].text == text,
            f"#{name} reads {self[name].text!r}, not {text!r}",
        )

    def bars(self):
        """For each task in the order of the page: its figure and the share that is filled."""
        return self.browser.execute_script(
            """return [...document.querySelectorAll("#bars li")].map((row) => [
                row.dataset.task, row.querySelector(".figure").textContent,
                row.querySelector(".bar span").style.width, row.classList.contains("entered")])"""
        )

    def faults(self):
        """What the console says, but for the statuses of refusals."""
        lines = [entry["message"] for entry in self.browser.get_log("browser")]
        return [line for line in lines if "Failed to load resource" not in line]


@pytest.fixture(scope="module")
def port():
    with running(FakeServable(TREE)) as port:
        yield port


@pytest.fixture
def page(browser, port):
    opened = Page(browser, port)
    opened.faults()
    yield opened
    assert opened.faults() == []


EMPTY = [[task, "–", "0%", False] for task in TREE]


def assert_shows_nothing(page):
    for name in ("label", "path", "heat", "seen"):
        assert not page[name].is_displayed()
    assert page.bars() == EMPTY


def test_a_picture_that_is_dropped_is_answered(page):
    page.drop("wolf.png", picture_of(750, (40, 40)))
    page.wait("label", "wolf")
    assert page["path"].text == "animals > canines > wolf"
    assert page["whole"].text == "probability 0.268"
    assert page.bars() == [
        ["animals", "0.750", "75%", True],
        ["canines", "0.650", "65%", True],
        ["wolf", "0.550", "55%", True],
    ]
    assert page["heat"].is_displayed() and not page["seen"].is_displayed()
    assert page["heat"].get_attribute("alt") == "Heat map of wolf.png"
    assert page["heat"].get_attribute("naturalWidth") == "64"
    assert not page["message"].is_displayed()
    page["show-picture"].find_element("xpath", "following-sibling::label[1]").click()
    assert page["seen"].is_displayed() and not page["heat"].is_displayed()
    assert page["seen"].get_attribute("naturalWidth") == "64"


def test_a_second_picture_replaces_the_first(page, tmp_path):
    (tmp_path / "canine.png").write_bytes(picture_of(650))
    page["picture"].send_keys(str(tmp_path / "canine.png"))
    page.wait("label", "canines")
    first = page["heat"].get_attribute("src")
    page.paste(picture_of(130))
    page.wait("label", "not-animals")
    assert page["heat"].get_attribute("src") != first
    assert not page["path"].is_displayed()
    assert page.bars() == [
        ["animals", "0.130", "13%", False],
        ["canines", "0.030", "3%", False],
        ["wolf", "0.000", "0%", False],
    ]
    # The same file once more is a picture once more.
    page["picture"].send_keys(str(tmp_path / "canine.png"))
    page.wait("label", "canines")
    assert page["path"].text == "animals > canines"


def test_what_is_no_picture_is_said_to_be_none(page, tmp_path):
    page.drop("wolf.png", picture_of(750))
    page.wait("label", "wolf")
    (tmp_path / "notes.txt").write_bytes(NO_PICTURE)
    page["picture"].send_keys(str(tmp_path / "notes.txt"))
    kinds = "JPEG, PNG, BMP, GIF or WebP"
    page.wait("message", f"“notes.txt” is no picture that can be read; choose a {kinds} file.")
    assert_shows_nothing(page)
    page.drop("<b>.txt", NO_PICTURE)
    page.wait("message", f"“<b>.txt” is no picture that can be read; choose a {kinds} file.")
    page.paste(b"")
    page.wait("message", "The clipboard holds no picture.")
    page.drop("wolf.png", picture_of(750), on="page")
    page.wait("label", "wolf")
    assert not page["message"].is_displayed()


def test_a_picture_that_is_too_large_is_not_sent(page):
    assert page["page"].get_attribute("data-largest") == str(LARGEST_BODY)
    page.browser.execute_script("arguments[0].dataset.largest = 2 ** 20", page["page"])
    page.drop("large.png", picture_of(750) + bytes(2**20))
    page.wait("message", "“large.png” is larger than 1 MiB; choose a smaller picture.")
    assert_shows_nothing(page)


def test_the_last_of_two_pictures_is_shown_whichever_is_answered_last(browser):
    servable = FakeServable(TREE)
    with running(servable) as port:
        page = Page(browser, port)
        servable.gate.clear()
        page.drop("first.png", picture_of(750))
        page.drop("second.png", picture_of(650))
        assert page["page"].get_attribute("aria-busy") == "true"
        servable.gate.set()
        page.wait("label", "canines")
        assert page["page"].get_attribute("aria-busy") == "false"
    page.drop("third.png", picture_of(750))
    page.wait("message", "The server does not answer; is modnet serve still running?")


def test_a_fault_of_the_server_is_passed_on(page):
    page.drop("broken.png", picture_of(BROKEN))
    page.wait(
        "message",
        "The server refused it: the server failed at this request; what it printed says why.",
    )


def test_the_keyboard_is_enough(page):
    from selenium.webdriver import ActionChains, Keys

    def press(key):
        ActionChains(page.browser).send_keys(key).perform()
        return page.browser.switch_to.active_element

    assert press(Keys.TAB) == page["picture"]
    assert page["drop"].value_of_css_property("outline-style") == "solid"
    page.drop("wolf.png", picture_of(750))
    page.wait("label", "wolf")
    assert press(Keys.TAB) == page["show-heat"]
    assert press(Keys.ARROW_RIGHT) == page["show-picture"]
    assert page["seen"].is_displayed() and not page["heat"].is_displayed()


@pytest.mark.parametrize("tree", [{"my-pets": None}, TREE, BRANCHES], ids=len)
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off_or_asked_for_elsewhere(browser, tree, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("performance")
    with running(FakeServable(tree)) as port:
        page = Page(browser, port)
        assert cut_off(browser) == []
        page.drop("wolf.png", picture_of(950))
        page.wait("label", list(tree)[min(4, len(tree) - 1)])
        assert cut_off(browser) == []
    asked = [entry["message"] for entry in browser.get_log("performance")]
    asked = [json.loads(line)["message"] for line in asked]
    asked = [
        event["params"]["request"]["url"]
        for event in asked
        if event["method"] == "Network.requestWillBeSent"
    ]
    own = (f"http://127.0.0.1:{port}/", "data:")
    assert asked and all(address.startswith(own) for address in asked)


def cut_off(browser):
    """Texts that reach beyond the page or their own box."""
    return browser.execute_script(
        """
        const wide = document.documentElement.scrollWidth;
        const faults = wide > innerWidth ? [`the page is ${wide} pixels wide`] : [];
        for (const element of document.querySelectorAll("p, span, b, label, h1, h2, li")) {
          if (element.closest(".away")) continue;
          const box = element.getBoundingClientRect();
          const leaves = box.left < 0 || box.right > innerWidth + 1;
          if (box.width && (leaves || element.scrollWidth > box.width + 2))
            faults.push(element.textContent.trim());
        }
        return faults;
        """
    )
