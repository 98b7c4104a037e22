"""A page in a headless Chromium, with the clicks and keys of a user."""

import os
import shutil
import time
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

WINDOW = 1280, 720
FIND = """
const [name, what] = arguments;
for (const model of Bokeh.documents[0]._all_models.values())
  if (model.title === name || model.label === name || model.name === name || model.type === name) {
    const view = Bokeh.index.find_one(model);
    if (view != null) return what(view, model);
  }
return null;
"""


def missing() -> str:
    """Why there is no browser, or nothing."""
    for program in ("chromedriver", "chromium"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt-get install chromium chromium-driver)"
    return ""


@contextmanager
def opened(address):
    """The page at an address."""
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = shutil.which("chromium") or ""
    os.environ |= {"SE_OFFLINE": "true", "SE_AVOID_STATS": "true"}
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(60)
        size = {"width": WINDOW[0], "height": WINDOW[1], "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(address)
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """What a user does: types into fields, presses buttons, moves sliders, taps into figures, and looks."""

    def __init__(self, driver):
        self.driver = driver
        self.wait("the page", lambda: self.script("return window.Bokeh?.documents?.[0]?.is_idle ?? false"))

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def wait(self, what, condition, seconds=60):
        """Wait until a condition holds."""
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, f"{what} does not come; the page says: {self.texts()}"
            time.sleep(0.1)
        return found

    def fits(self):
        """Whether nothing lies outside the window."""
        size = self.script("const b = document.documentElement; return [b.scrollWidth, b.scrollHeight]")
        return size[0] <= WINDOW[0] and size[1] <= WINDOW[1]

    def of(self, name, what):
        """Something of the widget of this title, label, name or kind: an expression of ``view`` and ``model``."""
        return self.script(FIND.replace("what(view, model)", what), name)

    def texts(self):
        """All texts of the page."""
        script = "return [...Bokeh.documents[0]._all_models.values()].filter(m => m.type == 'Div').map(m => m.text)"
        return " | ".join(self.script(script))

    def says(self, text, seconds=60):
        self.wait(repr(text), lambda: text in self.texts(), seconds)

    def enter(self, title):
        """Go to a tab by its handle."""
        titles = self.of("Tabs", "model.tabs.map(t => t.title)")
        header = self.script(
            FIND.replace("what(view, model)", "view.shadow_el.querySelectorAll('.bk-tab')[arguments[1]]"), "Tabs",
            titles.index(title),
        )  # fmt: skip
        header.click()

    def type(self, name, text):
        """Put a text into a field."""
        field = self.of(name, "view.input_el")
        self.script("arguments[0].focus(); arguments[0].select()", field)
        ActionChains(self.driver).send_keys(str(text), Keys.ENTER).perform()  # an element's own keys go to its end

    def press(self, label):
        self.of(label, "view.shadow_el.querySelector('button')").click()

    def slide(self, name, steps):
        """Move a slider by keys."""
        handle = self.of(name, "view.shadow_el.querySelector('.noUi-handle')")
        handle.send_keys(*[Keys.ARROW_RIGHT if steps > 0 else Keys.ARROW_LEFT] * abs(steps))

    def key(self, key):
        ActionChains(self.driver).send_keys(key).perform()

    def tap(self, kind, x, y):
        """Tap at a place of the figure whose horizontal axis has this label."""
        script = """
        for (const model of Bokeh.documents[0]._all_models.values())
          if (model.type === "Figure" && model.below?.[0]?.axis_label === arguments[0]) {
            const view = Bokeh.index.find_one(model);
            const box = view?.el?.getBoundingClientRect();
            if (box == null || box.width == 0) continue;
            const [sx, sy] = [view.frame.x_scale.compute(arguments[1]), view.frame.y_scale.compute(arguments[2])];
            return [box.x + sx, box.y + sy];
          }
        """
        px, py = self.wait("the figure", lambda: self.script(script, kind, x, y))
        action = ActionChains(self.driver)
        action.w3c_actions.pointer_action.move_to_location(round(px), round(py)).click()
        action.perform()

    def errors(self):
        """What the browser's console complains about, but for the icon that nobody has."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE" and "favicon" not in entry["message"]
        ]
