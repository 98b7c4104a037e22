"""The tab of reconstructions without a browser: its widgets make the plan, and what cannot be is one sentence."""

import numpy as np
import pytest

import mpijax as mj
from mpijax.plans import ReconstructPlan
from tests.view.files import write_folder, write_matrix, write_measurement
from tests.view.session import OwnPage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    matrix = write_folder(folder)
    other = mj.LissajousSequence.create((9e-3, 12e-3, 0), n_samples=400)
    measured = mj.Measurement.create(
        np.ones((1, 1, 3, 150), np.complex64), matrix.frequencies, sequence=other, scanner=matrix.scanner, n_samples=400,
        bandwidth=matrix.bandwidth, frequency_indices=matrix.frequency_indices,
    )  # fmt: skip
    mj.io.write_measurement(folder / "other.mdf", measured)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    page = OwnPage([folder / "sm.mdf", folder / "m.mdf", folder / "other.mdf"])
    page.enter("Reconstruction")
    return page


def state(page):
    return page.page.tabs["Reconstruction"].state


def test_widgets_make_the_plan(page):
    page.choose("solver", "tikhonov")
    page.choose("constraint", "none")
    page.choose("least SNR", 5.0)
    page.choose("mixing order ≤", 12)
    page.choose("from / kHz", 20)
    page.choose("to / kHz", 200)
    page.choose("row weights", "row_norm")
    page.choose("frames (5 or 0:100)", "1:5")
    page.choose("average (0 = all)", 2)
    page.models("CheckboxButtonGroup")[0].active = [0, 1]
    page.catch_up()
    plan = state(page).plan
    assert type(plan.solver).__name__ == "Tikhonov" and plan.solver.constraint is None
    rows = plan.rows
    assert (rows.snr_threshold, rows.max_order, rows.min_frequency, rows.max_frequency) == (5.0, 12, 20.0, 200.0)
    assert rows.channels == (0, 1) and rows.weights == "row_norm"
    assert (plan.data.frames, plan.data.average_frames) == ("1:5", 2)
    assert page.titled("image").end == 1 and not page.labeled("▶ film").disabled
    page.labeled("▶ film").active = True
    page.page.tabs["Reconstruction"]._advance()
    assert state(page).frame == 1
    page.labeled("▶ film").active = False


def test_the_image_follows_the_slider_and_the_history_leads_back(page):
    slider = page.document.get_model_by_name("lambda")
    before = len(state(page).history)
    for value in (-3.0, -2.5, -1.0):  # faster than images can follow
        slider.value = value
    page.catch_up()
    assert "λ = 0.1</b>" in page.texts and len(state(page).history) == before
    slider.trigger("value_throttled", None, -1.0)
    assert len(state(page).history) == before + 1
    (table,) = page.models("DataTable")
    assert table.source.data["λ"][0] == "0.1"
    slider.value = 0.5
    page.catch_up()
    table.source.selected.indices = [0]
    assert state(page).lam == pytest.approx(0.1) and slider.value == pytest.approx(-1.0)


def test_what_cannot_be_is_one_sentence_and_the_plan_stays(page, folder):
    plan = state(page).plan
    page.choose("frames (5 or 0:100)", "seven")
    assert "frames = 'seven'" in page.texts and state(page).plan == plan
    assert page.titled("frames (5 or 0:100)").value == (plan.data.frames or "")
    page.choose("average (0 = all)", -2)
    assert "average_frames = -2" in page.texts and page.titled("average (0 = all)").value == plan.data.average_frames
    page.choose("frames (5 or 0:100)", "90")
    assert "frames = 90" in page.texts and page.titled("frames (5 or 0:100)").value == (plan.data.frames or "")
    page.choose("least SNR", 1e9)
    assert "keeps no row" in page.texts and page.titled("least SNR").value == 5.0 and state(page).plan == plan
    page.choose("frames (5 or 0:100)", "")
    page.choose("average (0 = all)", 0)
    assert "frames =" not in page.texts
    page.choose("measurement", "1")
    assert "drive" in page.texts and state(page).measurement == folder / "m.mdf"
    assert page.titled("measurement").value == "0"
    page.choose("measurement", "7")
    assert "index out of range" in page.texts and page.titled("measurement").value == "0"
    page.choose("least SNR", 4.0)
    assert "index" not in page.texts and state(page).plan.rows.snr_threshold == 4.0


def test_a_slow_step_is_announced_before_it_begins(page):
    page.choose("mixing order ≤", 9)
    page.titled("mixing order ≤").value = 8
    assert "computing …" in page.texts and state(page).plan.rows.max_order == 8
    assert page.page.tabs["Reconstruction"].shown.plan.rows.max_order == 9
    page.catch_up()
    assert "computing" not in page.texts and page.page.tabs["Reconstruction"].shown.plan.rows.max_order == 8
    page.titled("sweeps").value = 3 if page.titled("sweeps").value != 3 else 4
    assert "computing" not in page.texts  # the equations are there


def test_nothing_is_written_but_where_it_is_said(page, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page.choose("write to (without suffix)", " ")
    page.press("MDF")
    assert "no name is given" in page.texts and not list(tmp_path.iterdir())
    page.choose("write to (without suffix)", str(tmp_path / "image"))
    for label in ("MDF", "plan", "PNG"):
        page.press(label)
        assert f"wrote {tmp_path / 'image'}." in page.texts
    assert {path.name for path in tmp_path.iterdir()} == {"image.mdf", "image.toml", "image.png"}
    plan = ReconstructPlan.load(tmp_path / "image.toml")
    again = plan.reconstruct(folder / "sm.mdf", folder / "m.mdf")
    np.testing.assert_array_equal(again.images, mj.io.read_reconstruction(tmp_path / "image.mdf").images)


def test_channel_buttons_are_the_channels_of_the_file_by_their_numbers(folder, tmp_path):
    matrix = mj.io.read_system_matrix(folder / "sm.mdf")
    mj.io.write_system_matrix(tmp_path / "part.mdf", matrix.select(channels=[1, 2]))
    page = OwnPage([tmp_path / "part.mdf", folder / "m.mdf"])
    page.enter("Reconstruction")
    (buttons,) = page.models("CheckboxButtonGroup")
    assert buttons.labels == ["1", "2"]
    for active, channels in (([0], (1,)), ([1], (2,)), ([0, 1], None)):
        buttons.active = active
        page.catch_up()
        assert state(page).plan.rows.channels == channels and buttons.active == active
        assert page.page.tabs["Reconstruction"].shown.plan.rows.channels == channels


def test_a_matrix_without_snr_has_no_threshold(folder, tmp_path):
    matrix = write_matrix(tmp_path / "bare.mdf", background=0)
    write_measurement(tmp_path / "m.mdf", matrix)
    page = OwnPage([tmp_path / "bare.mdf", tmp_path / "m.mdf"])
    page.enter("Reconstruction")
    snr = page.titled("no SNR in the file")
    assert snr.value == 0 and snr.disabled
    page.choose("sweeps", 5)
    assert "SNR" not in page.page.voice.div.text and state(page).plan.solver.sweeps == 5 and snr.value == 0


def test_what_the_comparison_warns_of_stands_beside_the_image(folder, tmp_path):
    matrix = mj.io.read_system_matrix(folder / "sm.mdf")
    write_measurement(tmp_path / "steep.mdf", matrix, shift=1.1)
    page = OwnPage([folder / "sm.mdf", tmp_path / "steep.mdf", folder / "m.mdf"])
    page.enter("Reconstruction")
    said = page.page.tabs["Reconstruction"].remarks
    assert "gradient is 1.1 times the matrix's" in said.text
    page.choose("sweeps", 5)
    assert "gradient is 1.1 times the matrix's" in said.text
    page.choose("measurement", "1")
    assert not said.text


def test_an_emptied_number_of_sweeps_is_refused(page):
    page.choose("solver", "kaczmarz")
    page.choose("sweeps", 4)
    page.choose("sweeps", None)
    assert "sweeps is empty; give a whole number of at least 1" in page.texts
    assert page.titled("sweeps").value == 4 == state(page).plan.solver.sweeps


def test_a_file_in_place_of_a_folder_is_one_sentence(page, tmp_path):
    (tmp_path / "file").write_text("here")
    for name in ("file/image", "file/deeper/image"):
        page.choose("write to (without suffix)", str(tmp_path / name))
        for label in ("MDF", "plan", "PNG"):
            page.press(label)
            assert "cannot be a folder, for a file stands in its place" in page.texts and "Errno" not in page.texts
