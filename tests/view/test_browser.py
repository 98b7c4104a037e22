"""The page in a real browser: rows by mixing orders, a tap on the SNR, the lambda slider, a plan and an image that are written."""

import threading

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

import mpijax as mj
from mpijax.plans import ReconstructPlan
from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.reconstruction import ReconstructionState
from tests.view import browser
from tests.view.session import served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "there is a browser"),
]


@pytest.fixture(scope="module")
def page(folder):
    with served([folder / "sm.mdf", folder / "restored.mdf", folder / "m.mdf"]) as server:
        with browser.opened(server.address) as page:
            yield page


def test_a_row_is_found_by_its_mixing_orders_and_the_next_one_by_a_key(page):
    page.says("channel ")
    page.type("mx", 2)
    page.type("my", 1)
    page.says("75.06 kHz<br>(2, 1, 0)")
    place = page.of("place (keys ← →)", "model.value")
    page.script("document.activeElement?.shadowRoot?.activeElement?.blur(); document.activeElement?.blur()")
    page.key(Keys.ARROW_RIGHT)
    page.wait("the next row", lambda: page.of("place (keys ← →)", "model.value") == place + 1, 20)
    page.key(Keys.ARROW_LEFT)
    page.wait("the row before", lambda: page.of("place (keys ← →)", "model.value") == place)


def test_a_tap_on_the_snr_selects_its_row(page, folder):
    page.enter("SNR")
    matrix = MatrixView(folder / "sm.mdf")
    channel, position = map(int, matrix.ranked()[0])
    page.wait("points", lambda: page.of("Show in the tab Rows", "true"))
    page.says("channel x: 150 of 150")
    page.tap("frequency / kHz", matrix.frequencies[position] / 1e3, matrix.strength[channel, position])
    page.says(matrix.title(channel, position).split(", ")[1])
    page.press("Show in the tab Rows")
    page.wait("the tab Rows", lambda: page.of("Tabs", "model.active") == 0)


def test_the_image_follows_lambda_and_what_is_seen_is_written(page, folder, tmp_path):
    page.enter("Reconstruction")
    page.says("λ = 0.01", 120)
    page.slide("lambda", 5)
    page.says("λ = 0.0178", 120)
    page.wait("the history", lambda: page.of("DataTable", "[...model.source.get_column('λ')]")[0] == "0.0178")
    page.type("write to (without suffix)", tmp_path / "image")
    for label, suffix in (("plan", "toml"), ("MDF", "mdf")):
        page.press(label)
        page.says(f"wrote {tmp_path / 'image'}.{suffix}")
    page.press("plan")
    page.says("is there already; give another name")
    plan = ReconstructPlan.load(tmp_path / "image.toml")
    assert plan.solver.regularization == pytest.approx(10**-1.75)
    again = plan.reconstruct(folder / "sm.mdf", folder / "m.mdf")
    np.testing.assert_array_equal(mj.io.read_reconstruction(tmp_path / "image.mdf").images, again.images)


def test_a_slow_step_shows_its_word_while_it_lasts(page, monkeypatch):
    page.enter("Reconstruction")
    page.says("λ = ", 120)
    begun, end, show = threading.Event(), threading.Event(), ReconstructionState.show

    def slow(state):
        begun.set()
        assert end.wait(60)
        return show(state)

    monkeypatch.setattr(ReconstructionState, "show", slow)
    page.type("mixing order ≤", 11)
    assert begun.wait(60)
    page.says("computing …", 10)
    end.set()
    page.wait("its end", lambda: "computing" not in page.texts())


def test_all_tabs_are_drawn_without_errors_and_fit_the_window(page):
    for title in page.of("Tabs", "model.tabs.map(t => t.title)"):
        page.enter(title)
        page.wait(f"the tab {title}", lambda: page.script("return Bokeh.documents[0].is_idle"))
        page.wait(f"the tab {title} within the window", page.fits)  # what is laid out anew may stand out for a moment
    assert page.errors() == []
