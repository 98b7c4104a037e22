"""``mpijax reconstruct`` of many frames: in blocks, on several devices, stopped and continued."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import mpijax as mj
from mpijax.io.mdf.partial import PartialReconstruction
from tests.test_cli import run

ROOT = Path(__file__).resolve().parent.parent
FRAMES = 7
OPTIONS = ["--average-frames", "1", "--sweeps", "3"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small calibration, and a measurement of seven frames of very different strength."""
    folder = tmp_path_factory.mktemp("blocks")
    preset = ["--shape", "8", "8", "1", "--background-frames", "4"]
    sys.argv = [str(word) for word in ("mpijax", "simulate", "2d", "-o", folder / "sm.mdf", *preset)]
    mj.cli.main()
    sys.argv = [
        str(word) for word in ("mpijax", "measure", "2d", "snake", "-o", folder / "m.mdf", *preset, "--frames", 7)
    ]
    mj.cli.main()
    with h5py.File(folder / "m.mdf", "a") as file:
        scale = np.r_[10.0 ** -np.arange(FRAMES), np.ones(4)]
        file["/measurement/data"][...] *= scale[:, None, None, None]
    return folder


def images(path):
    return np.asarray(mj.io.read_reconstruction(path).images)


def words(files, out, *more):
    return ["reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, *more, *OPTIONS]


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """The images of all frames at once."""
    out = tmp_path_factory.mktemp("whole") / "a.mdf"
    sys.argv = ["mpijax", *map(str, words(files, out))]
    mj.cli.main()
    return images(out)


@pytest.fixture(scope="module")
def by_two(files, tmp_path_factory):
    """The images of blocks of two frames, made without a stop, and what was said."""
    out = tmp_path_factory.mktemp("by_two") / "b.mdf"
    with contextlib.redirect_stdout(io.StringIO()) as said, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mpijax", *map(str, words(files, out, "--block", "2"))])
        mj.cli.main()
    return images(out), said.getvalue()


def assert_close(found, expected):
    scale = expected.max(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_blocks_make_the_images_and_the_header_of_all_at_once(capsys, files, tmp_path, whole):
    out = tmp_path / "a.mdf"
    status, text = run(capsys, *words(files, out, "--block", "3", "--seed", "1"))
    assert status == 0 and "7 frames of 8 x 8 x 1 voxels" in text, text
    assert sorted(os.listdir(tmp_path)) == ["a.mdf", "a.png"]
    assert_close(images(out), whole)
    made = mj.io.read_reconstruction(out)
    assert made.metadata["/acquisition/numFrames"] == FRAMES and made.parameters["sweeps"] == 3
    assert made.parameters["lambda"] > 0 and f"{whole.max():.4g}" in text


def test_a_relative_penalty_is_that_of_all_blocks(capsys, files, tmp_path):
    one, several = tmp_path / "one.mdf", tmp_path / "several.mdf"
    options = ["admm", "--iterations", "20", "--average-frames", "1"]
    for out, block in ((one, "7"), (several, "2")):
        files_and = ["reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, "--block", block]
        status, text = run(capsys, *files_and, *options)
        assert status == 0 and "of 7 images after 20 iterations" in text, text
    found, expected = mj.io.read_reconstruction(several), mj.io.read_reconstruction(one)
    assert found.parameters["l1"] == pytest.approx(expected.parameters["l1"], rel=1e-5)
    assert found.parameters["relative"] == 1 and found.parameters["regularization"] == 1e-3
    assert np.abs(found.images[-1]).max() <= 1e-3 * np.abs(expected.images[0]).max()  # not relative to itself


def with_zeros(files, folder, *places):
    """The measurement with zeros at (frames, channels), and no background to subtract from them."""
    made = folder / "zeros.mdf"
    shutil.copy(files / "m.mdf", made)
    with h5py.File(made, "a") as file:
        data = file["/measurement/data"]
        held = data[...] * np.r_[10.0 ** np.arange(FRAMES), np.ones(4)][:, None, None, None]
        for frames, channels in places:
            held[frames, :, channels] = 0
        data[...] = held
    return ["reconstruct", files / "sm.mdf", made, "--average-frames", "1", "--background", "none"]


@pytest.mark.parametrize(
    "solver, frames",
    [
        (["kaczmarz", "--sweeps", "3"], slice(0, 4)),
        (["tikhonov"], slice(4, 6)),
        (["admm", "--iterations", "20"], slice(0, 4)),
    ],
)
def test_blocks_of_zeros_are_images_of_zeros(capsys, files, tmp_path, solver, frames):
    words = with_zeros(files, tmp_path, (frames, slice(None)))
    for out, block in (("blocks.mdf", "2"), ("whole.mdf", "7")):
        status, text = run(capsys, *words, "-o", tmp_path / out, "--block", block, *solver)
        assert status == 0 and "left out" not in text, text
    found, expected = images(tmp_path / "blocks.mdf"), images(tmp_path / "whole.mdf")
    assert not found[frames].any() and all(image.any() for image in np.delete(found, np.r_[frames], axis=0))
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_a_channel_that_is_silent_in_one_block_is_used_in_all(capsys, files, tmp_path):
    words = with_zeros(files, tmp_path, (slice(0, 2), 1), (slice(4, 6), 0))
    for out, block in (("blocks.mdf", "2"), ("whole.mdf", "7")):
        status, text = run(capsys, *words, "-o", tmp_path / out, "--block", block, "--sweeps", "3")
        assert status == 0 and "left out" not in text, text
    assert_close(images(tmp_path / "blocks.mdf"), images(tmp_path / "whole.mdf"))


def test_a_channel_that_is_silent_in_all_blocks_is_left_out_once(capsys, files, tmp_path):
    words = with_zeros(files, tmp_path, (slice(None), 1))
    status, text = run(capsys, *words, "-o", tmp_path / "a.mdf", "--block", "2")
    assert status == 0 and text.count("channel 1 of the measurement is zero in every row and is left out") == 1, text


def test_a_scan_of_zeros_is_refused(capsys, files, tmp_path):
    words = with_zeros(files, tmp_path, (slice(None), slice(None)))
    status, text = run(capsys, *words, "-o", tmp_path / "a.mdf", "--block", "2")
    assert status == 2 and "rows of the measurement are zero; nothing can be reconstructed" in text, text
    assert os.listdir(tmp_path) == ["zeros.mdf"]


def stop_after(monkeypatch, blocks, error):
    """Raise an error before a further block is written."""
    write = PartialReconstruction.write

    def stopping(self, *arguments):
        if self.done >= blocks:
            raise error
        write(self, *arguments)

    monkeypatch.setattr(PartialReconstruction, "write", stopping)


@pytest.mark.parametrize("error, status", [(KeyboardInterrupt(), 130), (MemoryError("full"), 2)])
def test_a_stopped_command_goes_on(capsys, files, tmp_path, monkeypatch, by_two, error, status):
    out = tmp_path / "a.mdf"
    out.write_bytes(b"an older file")
    with monkeypatch.context() as patch:
        stop_after(patch, 4, error)
        found, text = run(capsys, *words(files, out, "--block", "2"))
    assert found == status, text
    assert f"stopped: 4 of 7 frames are kept in {out}.partial; the same command goes on from there." in text
    assert out.read_bytes() == b"an older file"
    assert sorted(os.listdir(tmp_path)) == ["a.mdf", "a.mdf.partial", "a.mdf.partial.json"]
    with monkeypatch.context() as patch:
        stop_after(patch, 6, error)
        _, text = run(capsys, *words(files, out, "--block", "2"))
    assert "going on after 4 of 7 frames" in text and "stopped: 6 of 7" in text
    found, text = run(capsys, *words(files, out, "--block", "2"))
    assert found == 0 and "going on after 6 of 7 frames" in text, text
    assert sorted(os.listdir(tmp_path)) == ["a.mdf", "a.png"]
    expected, plain = by_two
    np.testing.assert_array_equal(images(out), expected)

    def line(said):
        return next(row for row in said.splitlines() if row.startswith("kaczmarz")).split()[:-1]

    assert line(text) == line(plain)  # the table counts the blocks of the stopped commands


def test_a_file_of_other_settings_is_not_continued(capsys, files, tmp_path, monkeypatch):
    out = tmp_path / "a.mdf"
    with monkeypatch.context() as patch:
        stop_after(patch, 2, KeyboardInterrupt())
        run(capsys, *words(files, out, "--block", "2"))
    left = (tmp_path / "a.mdf.partial").read_bytes()
    for option, said in (
        (["--weights", "row_norm"], "rows weights none, now row_norm"),
        (["--block", "3"], "block 2, now 3"),
    ):
        status, text = run(capsys, *words(files, out, "--block", "2", *option))
        assert status == 2 and said in text and "2 frames of an earlier run" in text, text
        assert text.count("error:") == 1 and text.splitlines()[-1].startswith("error:")
    os.utime(files / "m.mdf")
    status, text = run(capsys, *words(files, out, "--block", "2"))
    assert status == 2 and "measurement modified" in text, text
    assert (tmp_path / "a.mdf.partial").read_bytes() == left
    (tmp_path / "a.mdf.partial").unlink()
    status, text = run(capsys, *words(files, out, "--block", "2"))
    assert status == 0 and "going on" not in text, text
    assert sorted(os.listdir(tmp_path)) == ["a.mdf", "a.png"]


def test_what_is_complete_but_has_not_its_name_gets_it(capsys, files, tmp_path, monkeypatch, whole):
    out = tmp_path / "a.mdf"
    with monkeypatch.context() as patch:
        patch.setattr(PartialReconstruction, "finish", lambda self: self.close())
        run(capsys, *words(files, out, "--block", "2"))
    assert json.loads((tmp_path / "a.mdf.partial.json").read_text())["done"] == FRAMES and not out.exists()
    status, text = run(capsys, *words(files, out, "--block", "2"))
    assert status == 0 and "going on after 7 of 7 frames" in text, text
    assert_close(images(out), whole)


def test_averages_and_other_formats(capsys, files, tmp_path, whole):
    out = tmp_path / "a.mdf"
    averaged = [w if w != "1" else "2" for w in words(files, out, "--block", "2")]
    averaged[averaged.index("--block") + 1] = "2"
    status, text = run(capsys, *averaged)
    assert status == 0 and text.count("averaged by 2; the last 1 of them are left out") == 1, text
    assert images(out).shape == (3, 1, 8, 8)
    nibabel = pytest.importorskip("nibabel")
    both = ["--nifti", tmp_path / "b.nii"]
    status, text = run(capsys, *words(files, tmp_path / "b.mdf", "--block", "2", *both))
    assert status == 0, text
    np.testing.assert_allclose(nibabel.load(tmp_path / "b.nii").get_fdata()[..., 2], whole[2].T, rtol=1e-3, atol=1e-4)
    status, text = run(capsys, *words(files, tmp_path / "c.nii", "--block", "2"))
    assert status == 0 and sorted(p.name for p in tmp_path.glob("c*")) == ["c.nii", "c.png"], text


@pytest.mark.parametrize(
    "options, message",
    [
        (["--devices", "0"], "give all or a number from 1 to 1"),
        (["--devices", "99"], "devices = 99; this process has 1 (cpu)"),
        (["--devices", "some"], "devices = some"),
        (["--block", "0"], "block = 0"),
        (["--split", "rows", "--method", "tikhonov"], "split = 'rows' needs devices"),
        (["--split", "rows", "--devices", "all"], "choose Tikhonov or Admm, or share out the frames"),
        (["--split", "columns", "--devices", "all"], "split = 'columns'"),
        (["--devices", "all", "--method", "neural"], "leave out sharding"),
    ],
)
def test_a_mistake_costs_one_line_and_leaves_nothing(capsys, files, tmp_path, options, message):
    start = ["reconstruct", files / "sm.mdf", files / "m.mdf", "-o", tmp_path / "a.mdf", "--average-frames", "1"]
    status, text = run(capsys, *start, *options)
    assert status == 2 and text.count("error:") == 1 and message in text, text
    assert os.listdir(tmp_path) == []


KILLED = """
import os, signal, sys
import mpijax.io.mdf.partial as partial
from mpijax.cli import main

write, left = partial.write_text, [3]

def killing(*arguments):  # between the images of a block and the record of it
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*arguments)

partial.write_text = killing
main()
"""


SEVERAL = """
import json, sys
from mpijax.cli import main

for words in json.loads(sys.argv.pop()):  # in one process: its start costs more than their work
    sys.argv[1:] = words
    main()
"""


def test_four_devices_killed_and_continued(files, tmp_path, whole):
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }

    def start(program, *arguments):
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200,
        )  # fmt: skip

    def blocks(name):
        return [str(word) for word in words(files, tmp_path / name, "--block", "3", "--devices", "all")]

    def tikhonov(name, *split):
        command = ["reconstruct", files / "sm.mdf", files / "m.mdf", "-o", tmp_path / name, "tikhonov", *split]
        return [str(word) for word in command]

    killed = start(KILLED, *blocks("a.mdf"))
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    assert json.loads((tmp_path / "a.mdf.partial.json").read_text())["done"] == 3
    rows = tikhonov("rows.mdf", "--devices", "all", "--split", "rows")
    commands = [blocks("a.mdf"), blocks("b.mdf"), rows, tikhonov("alone.mdf")]
    made = start(SEVERAL, json.dumps(commands))
    assert made.returncode == 0 and made.stdout.count("going on after 3 of 7 frames") == 1, made.stdout
    assert not list(tmp_path.glob("*.partial*"))
    np.testing.assert_array_equal(images(tmp_path / "a.mdf"), images(tmp_path / "b.mdf"))
    assert_close(images(tmp_path / "a.mdf"), whole)
    assert_close(images(tmp_path / "rows.mdf"), images(tmp_path / "alone.mdf"))
