"""The page without a browser: who may open it, what its widgets do, and what happens where something goes wrong."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import h5py
import numpy as np
import pytest
from bokeh.client import pull_session
from bokeh.document import Document
from tornado.httpclient import HTTPRequest
from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

from mpijax.io import MDFError
from mpijax.view.page.document import Opened, Page
from tests.view.session import OwnPage, Widgets, served

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def server(folder):
    with served([folder / "sm.mdf", folder / "m.mdf"]) as server:
        yield server


@pytest.fixture(scope="module")
def page(folder):
    return OwnPage([folder / "sm.mdf", folder / "m.mdf"])


def status(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_only_who_knows_the_token_and_comes_from_no_other_page_is_answered(server):
    origin, token = "/".join(server.address.split("/")[:3]), server.address.split("/")[3]
    assert len(token) == 32 and origin.startswith("http://127.0.0.1:")
    assert status(server.address) == 200
    for path in (
        "",
        "/",
        "/ws",
        "/autoload.js",
        "/static/js/bokeh.min.js",
        "/favicon.ico",
        f"/{token[:-1]}/",
        f"/x/{token}/",
    ):
        assert status(origin + path) == 403, path
    assert status(server.address, Origin=origin) == 200
    for path in ("autoload.js?bokeh-autoload-element=x", "metadata", "static/js/bokeh.min.js"):
        assert status(server.address + path) == 403 == status(server.address + path, Origin=origin), path
    assert status(server.address, Origin="http://example.org") == 403
    assert status(server.address, Origin="null") == 403
    assert status(server.address, Host="example.org") == 403
    assert status(f"{server.address}static/js/bokeh.min.js", Origin="http://127.0.0.1:1") == 403


def test_web_sockets_need_the_token_and_the_origin_too(server):
    origin, token = "/".join(server.address.split("/")[:3]), server.address.split("/")[3]
    at = origin.replace("http", "ws")

    def connects(path, **headers):
        async def attempt():
            (await websocket_connect(HTTPRequest(at + path, headers=headers), subprotocols=["bokeh", "x"])).close()

        try:
            IOLoop().run_sync(attempt)
        except Exception as error:
            return str(error)
        return "open"

    assert "403" in connects("/ws", Origin=origin)
    assert "403" in connects(f"/{token}/ws", Origin="http://example.org")
    assert "403" in connects(f"/{token}/ws", Origin=origin.replace("127.0.0.1", "127.0.0.2"))
    assert "403" not in connects(f"/{token}/ws", Origin=origin)


def heard(capfd, cause):
    """What the server's thread has written until it names a cause; an earlier test's last words may come late."""
    said, until = "", time.monotonic() + 10
    while cause not in said and time.monotonic() < until:
        time.sleep(0.05)
        said += capfd.readouterr().err
    return said


def test_a_message_that_makes_no_sense_is_one_line_and_the_viewer_goes_on(server, capfd):
    async def say(*fragments):
        with urllib.request.urlopen(server.address) as answer:
            session = re.search(r'"token":"([^"]+)"', answer.read().decode())[1]
        socket = await websocket_connect(HTTPRequest(f"{at}ws"), subprotocols=["bokeh", session])
        for _ in range(3):
            await socket.read_message()  # which are the parts of one message
        for fragment in fragments:
            await socket.write_message(fragment)
        await socket.read_message()

    at = server.address.replace("http", "ws")
    for cause, *fragments in (
        ("KeyError: 'ODD'", '{"msgid": "1", "msgtype": "ODD"}', "{}", "{}"),
        ("can't resolve reference", '{"msgid": "1", "msgtype": "PATCH-DOC"}', "{}",
         '{"events": [{"kind": "ModelChanged", "model": {"id": "none"}, "attr": "x", "new": 1}]}'),
    ):  # fmt: skip
        IOLoop().run_sync(lambda fragments=fragments: say(*fragments), timeout=30)
        said = heard(capfd, cause)
        assert [line for line in said.splitlines() if cause in line and line.startswith("warning: the viewer goes on")]
        assert said.count(cause) == 1 and "Traceback" not in said, said
    session = pull_session(url=server.address)
    Widgets(session.document).models("Tabs")[0].active = 77
    session.force_roundtrip()
    session.close()
    again = pull_session(session.id, server.address)
    assert "there is no tab 77" in Widgets(again.document).texts and "Traceback" not in capfd.readouterr().err
    again.close()


def test_the_server_listens_on_this_machine_alone(server):
    port = int(server.address.split("/")[2].split(":")[1])
    with socket.socket() as other:  # a free port of another address of this machine
        other.bind(("127.0.0.2", port))


def test_the_page_fetches_nothing_from_elsewhere(server):
    with urllib.request.urlopen(server.address) as answer:
        text = answer.read().decode()
    assert len(text) > 500_000  # the scripts are in it
    assert not re.findall(r"<(?:script[^>]*src|link[^>]*href)=", text)


def test_a_session_has_the_page_and_passes_on_what_is_chosen(server):
    session = pull_session(url=server.address)
    widgets = Widgets(session.document)
    assert [panel.title for panel in widgets.models("Tabs")[0].tabs][:3] == ["Rows", "SNR", "Measurement"]
    widgets.titled("mx").value = 2
    session.force_roundtrip()
    again = pull_session(session.id, server.address)
    assert "75.06 kHz" in Widgets(again.document).texts
    session.close()
    again.close()


def test_a_row_by_mixing_orders_and_the_next_one_by_a_key(page, folder):
    page.titled("my").value = 1
    page.titled("mx").value = 2
    shown = next(div.text for div in page.models("Div") if "channel " in div.text)
    assert "(2, 1, 0)" in shown and "75.06 kHz" in shown
    page.titled("next row by").value = "frequency"
    bin_before = page.titled("place (keys ← →)").value
    keys = page.document.get_model_by_name("keys")
    keys.value = keys.value + 1
    assert page.titled("place (keys ← →)").value == bin_before + 1
    page.titled("mz").value = 3
    assert "nothing is driven along z" in page.texts
    page.titled("mz").value = 0
    assert "nothing is driven" not in page.texts


@pytest.mark.parametrize("coloring", ["complex", "modulus", "phase", "real part"])
def test_colorings_are_drawn(page, coloring):
    page.titled("coloring").value = "phase" if coloring == "complex" else "complex"
    images = [r.data_source for r in page.models("GlyphRenderer") if "image" in r.data_source.data]
    before = [np.array(source.data["image"][0]) for source in images]
    page.titled("coloring").value = coloring
    after = [np.array(source.data["image"][0]) for source in images]
    assert any(a.shape != b.shape or np.any(a != b) for a, b in zip(after, before, strict=True))


def test_the_snr_selects_a_row_and_counts_what_is_kept(page):
    page.enter("SNR")
    source = next(s for s in page.models("ColumnDataSource") if "position" in s.data)
    assert len(source.data["position"]) == 150
    source.selected.indices = [10]
    chosen = int(source.data["position"][10])
    assert sum(f"{(chosen + 1) / 0.6528:.2f} kHz" in div.text for div in page.models("Div")) == 2
    slider = next(m for m in page.models("Slider") if m.title == "")
    slider.value = slider.end
    assert "channel x: 0 of 150" in page.texts or "channel x: 1 of 150" in page.texts


def test_a_measurement_is_drawn_frame_by_frame(page):
    page.enter("Measurement")
    assert "6 frames, 4 background frames; 150 frequencies" in page.texts
    source = next(s for s in page.models("ColumnDataSource") if len(s.data.get("y", ())) == 400)
    first = np.array(source.data["y"])
    page.titled("frame").value = 5
    assert np.abs(source.data["y"]).max() > 3 * np.abs(first).max()


def test_a_file_that_disappears_is_one_sentence_and_the_page_goes_on(folder, tmp_path):
    for name in ("sm.mdf", "m.mdf"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    page = OwnPage([tmp_path / "sm.mdf", tmp_path / "m.mdf"])
    for name in ("sm.mdf", "m.mdf"):
        (tmp_path / name).unlink()
    Page(page.page.opened, Document())  # the page is opened once more
    rank = page.titled("place (keys ← →)")
    rank.value = 3
    assert f"there is no file {tmp_path / 'sm.mdf'}" in page.texts
    page.enter("Measurement")
    assert f"there is no file {tmp_path / 'm.mdf'}" in page.texts
    page.enter("Rows")
    rank.value = 0
    assert "there is no file" not in page.texts  # that row has been read


def test_a_matrix_without_snr_geometry_and_sequence_is_shown(folder, tmp_path):
    copy = tmp_path / "bare.mdf"
    copy.write_bytes((folder / "sm.mdf").read_bytes())
    with h5py.File(copy, "r+") as file:
        for name in ("/calibration/fieldOfView", "/calibration/size", "/acquisition/drivefield/strength"):
            del file[name]
        file.pop("/calibration/snr", None)
    page = OwnPage([copy])
    assert "voxels of 1 mm" in page.texts and "no mixing orders" in page.texts
    page.titled("mx").value = 2
    assert "choose a row by its frequency" in page.texts
    page.enter("SNR")


def test_two_viewers_at_once_but_not_at_one_port(folder, server):
    port = int(server.address.split("/")[2].split(":")[1])
    with pytest.raises(ValueError, match=f"port {port} is in use; leave out --port for a free one"):
        with served([folder / "sm.mdf"], port=port):
            pass
    with served([folder / "sm.mdf"]) as other:
        assert status(other.address) == 200 == status(server.address)
        assert status(other.address.replace(other.address.split("/")[2], server.address.split("/")[2])) == 403


def test_files_that_cannot_be_viewed(folder, tmp_path):
    with pytest.raises(ValueError, match="0 of the 1 files are calibrations; give one, or two to compare"):
        Opened.create([folder / "m.mdf"])
    with pytest.raises(ValueError, match="is a calibration; an empty scan is"):
        Opened.create([folder / "sm.mdf"], folder / "sm.mdf")
    (tmp_path / "text.mdf").write_text("hello")
    with pytest.raises(MDFError, match="is not an HDF5 file"):
        Opened.create([tmp_path / "text.mdf"])


def test_the_command_prints_the_address_and_ends_by_an_interrupt(folder):
    words = [sys.executable, "-m", "mpijax.cli", "view", str(folder / "sm.mdf"), "--no-browser"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"}, **pipes)
    address = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    assert status(address) == 200
    port = address.split("/")[2].split(":")[1]
    done = subprocess.run([*words, "--port", port], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and done.stderr == (
        f"error: port {port} is in use; leave out --port for a free one, or give another.\n"
    )
    assert process.stdout.readline() == "Ctrl-C ends it.\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and out == errors == ""


def test_a_file_that_is_replaced_is_one_sentence_in_every_tab_and_the_page_goes_on(folder, tmp_path):
    for name in ("sm.mdf", "m.mdf"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    page = OwnPage([tmp_path / "sm.mdf", tmp_path / "m.mdf"])
    for name in ("sm.mdf", "m.mdf"):
        (tmp_path / name).write_bytes((folder / name).read_bytes() + b"more")
    rank = page.titled("place (keys ← →)")
    rank.value = 3
    assert "sm.mdf has changed since it was opened; open the viewer anew." in page.texts
    page.enter("Measurement")
    assert "m.mdf has changed since it was opened; open the viewer anew." in page.texts.replace("sm.mdf", "")
    page.enter("Reconstruction")
    assert "sm.mdf has changed since" in page.texts
    page.enter("Rows")
    rank.value = 0
    assert "has changed" not in page.texts  # that row has been read
