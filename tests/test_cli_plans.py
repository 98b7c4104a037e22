"""Plans and batches of the command line: what is written once is made again, and many measurements cost one preparation."""

import os
import re
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import mpijax as mj
from mpijax.cli import batch
from mpijax.plans import DataOptions, ReconstructPlan, RestorePlan, ScannerOptions, SimulatePlan
from mpijax.reconstruction import Admm, Kaczmarz, PreparedSolver
from tests.test_cli import run
from tests.test_cli_reconstruct import changed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "plans.md"
SHAPE = ["--shape", "6", "5", "1", "--diameter", "22"]
OPTIONS = {
    "kaczmarz": ["--lambda", "0.1", "--sweeps", "3", "--constraint", "none", "--row-order", "randomized", "--seed", "5",
                 "--max-order", "14", "--weights", "whitening", "--frames", "1:4", "--average-frames", "1"],
    "tikhonov": ["--lambda", "1e-12", "--absolute", "--channels", "0", "1", "--empty", "empty.mdf", "--min-frequency", "90.3"],
    "admm": ["--epsilon", "0.02", "--constraint", "none", "--tv", "0.7", "--iterations", "30", "--drift-components", "1"],
    "neural": ["--steps", "8", "--width", "8", "--depth", "1", "--held-out", "None", "--seed", "3", "--force"],
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A calibration, three measurements, an empty scan, and what is no measurement."""
    folder = tmp_path_factory.mktemp("plans")
    commands = [
        ["simulate", "2d", "-o", "sm.mdf", *SHAPE, "--background-frames", "4"],
        ["measure", "2d", "empty", "-o", "empty.mdf", *SHAPE, "--frames", "3"],
    ]
    for seed, phantom in enumerate(("snake", "dots", "spiral")):
        frames = ["--frames", "4", "--background-frames", "3", "--peak-snr", "5", "--seed", str(seed)]
        commands.append(["measure", "2d", phantom, "-o", f"{phantom}.mdf", *SHAPE, *frames])
    before = os.getcwd()
    os.chdir(folder)
    try:
        for command in commands:
            sys.argv = ["mpijax", *command]
            mj.cli.main()
    finally:
        os.chdir(before)
    (folder / "broken.mdf").write_text("no file of a scanner")
    return folder


@pytest.fixture
def here(files, tmp_path, monkeypatch):
    """The files, in a folder to work in."""
    for path in files.iterdir():
        shutil.copy2(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(path):
    return mj.io.read_reconstruction(path).images


def stored(path):
    """The bytes of the images as they lie in the file; its header has a time and an identifier of its own."""
    with h5py.File(path) as file:
        data = file["/reconstruction/data"]
        return data.shape, data.dtype.str, data[()].tobytes()


def ran(capsys, *words):
    status, text = run(capsys, *words)
    assert status == 0, text
    return text


@pytest.mark.parametrize("name", OPTIONS)
def test_an_image_becomes_a_plan_and_the_plan_the_same_image(capsys, here, name):
    words = [name, *OPTIONS[name]]
    ran(capsys, "reconstruct", "sm.mdf", "snake.mdf", "-o", "a.mdf", *words, "--save-plan", "a.toml")
    (here / "other").mkdir()
    ran(capsys, "plan", "a.mdf", "-o", "other/b.toml")
    assert mj.plans.load("other/b.toml") == mj.plans.load("a.toml")
    text = ran(capsys, "reconstruct", "--plan", "other/b.toml", "sm.mdf", "snake.mdf", "-o", "b.mdf")
    assert stored("a.mdf") == stored("b.mdf"), text
    ran(capsys, "plan", "b.mdf", "-o", "c.toml")
    assert (here / "c.toml").read_bytes() == (here / "a.toml").read_bytes()
    made = mj.plans.load("a.toml").reconstruct("sm.mdf", "snake.mdf")
    assert np.asarray(made.images).tobytes() == images("a.mdf").tobytes()


def test_options_beside_a_plan_come_first(capsys, here):
    ReconstructPlan(data=DataOptions(average_frames=2), solver=Kaczmarz(0.5, sweeps=2), seed=4).save("plan.toml")
    words = ["reconstruct", "--plan", "plan.toml", "sm.mdf", "snake.mdf"]
    ran(capsys, *words, "-o", "a.mdf", "--sweeps", "4", "--average-frames", "None", "--save-plan", "b.toml")
    assert mj.plans.load("b.toml") == ReconstructPlan(solver=Kaczmarz(0.5, sweeps=4), seed=4)
    ran(capsys, *words, "-o", "b.mdf", "admm", "--iterations", "9", "--save-plan", "c.toml")
    assert mj.plans.load("c.toml").solver == Admm(iterations=9)
    ReconstructPlan(solver=Admm(epsilon="noise")).save("noise.toml")
    words[2] = "noise.toml"
    status, text = run(capsys, *words, "-o", "c.mdf", "--lambda", "1e-3")
    assert status == 2 and "lambda plays no part beside what the plan says" in text
    RestorePlan("denoise").save("restore.toml")
    words[2] = "restore.toml"
    status, text = run(capsys, *words, "-o", "c.mdf")
    assert status == 2 and 'a plan of the kind "restore", and one of the kind "reconstruct" is expected' in text
    assert not (here / "c.mdf").exists()


RECONSTRUCT = ["reconstruct", "--plan", "p.toml", "sm.mdf", "snake.mdf", "-o", "no.mdf"]
RESTORE = ["restore", "--plan", "p.toml", "sm.mdf", "-o", "no.mdf", "--no-draw"]


@pytest.mark.parametrize(
    "words, choice, says",
    [
        (RECONSTRUCT, "[rows]\nchannels = [7]", "[rows] channels = (7,); there are channels 0, 1, 2"),
        (RECONSTRUCT, "[rows]\nsnr_threshold = 1e9", "[rows] snr_threshold = 1e+09 keeps no row"),
        (RECONSTRUCT, '[data]\nframes = "50"', "[data] frames = 50; the file has frames 0 to 3"),
        (RECONSTRUCT, "[data]\nperiod = 3", "[data] period = 3; snake.mdf has periods 0 to 0"),
        (RECONSTRUCT, "[rows]\nmin_frequency = 9e6", "[rows] min_frequency = 9e+09 Hz, channels 0, 1, 2: the selection keeps no"),
        (RECONSTRUCT, '[data]\nframes = "2:9"', "[data] frames = '2:9' ends behind the last of 4 frames; 2 of the range exist."),
        (RECONSTRUCT, '[solver]\nname = "kaczmarz"\nregularization = nan', "[solver] regularization = nan"),
        (RECONSTRUCT, '[data]\nempty = "none.mdf"', "[data] empty = '"),
        (RECONSTRUCT, '[data]\nempty = "sm.mdf"', "[data] empty: "),
        (RECONSTRUCT, '[data]\nempty = "broken.mdf"', "[data] empty: "),
        (RECONSTRUCT, "[data]\ndrift_components = 99", "[data] drift_components = 99 with 3 background frames"),
        (RECONSTRUCT, '[solver]\nname = "neural"\nwidth = -1', "[solver] width = -1"),
        (RESTORE, 'task = "odd"', "task = 'odd'"),
        (RESTORE, 'task = "inpaint"\nmissing = "none.txt"', "missing = none.txt: there is no such file"),
        (RESTORE, 'task = "denoise"\nscale = 3', "scale is an option of"),
        (["simulate", "--plan", "p.toml", "-o", "no.mdf"], 'preset = "2d"\n[scanner]\ngradient = [1.0, 1.0, 1.0]',
         "[scanner] gradient has diagonal"),
    ],
)  # fmt: skip
def test_what_a_plan_asks_of_files_in_vain_is_said_with_its_name_and_the_key(capsys, here, words, choice, says):
    Path("p.toml").write_text(f'kind = "{words[0]}"\nversion = 1\n{choice}\n')
    status, text = run(capsys, *words)
    assert status == 2 and f"error: p.toml: {says}" in text, text
    assert not (here / "no.mdf").exists()


def test_a_measurement_of_background_frames_alone_is_named_as_such(capsys, here):
    with h5py.File("snake.mdf", "a") as file:
        file["/measurement/isBackgroundFrame"][...] = 1
    status, text = run(capsys, "reconstruct", "sm.mdf", "snake.mdf", "-o", "no.mdf")
    assert (
        status == 2 and "error: snake.mdf holds background frames only (7); it can serve as the empty scan" in text
    ), text


def test_a_choice_beside_the_plan_is_not_blamed_on_it(capsys, here):
    Path("p.toml").write_text('kind = "reconstruct"\nversion = 1\n[rows]\nchannels = [7]\n[data]\nframes = "50"\n')
    status, text = run(capsys, *RECONSTRUCT, "--channels", "0", "--frames", "60")
    assert status == 2 and "error: frames = 60" in text
    status, text = run(capsys, *RECONSTRUCT[:-1], "out/", "--channels", "0")
    assert status == 1 and "error: snake.mdf: p.toml: [data] frames = 50" in text


def test_images_without_a_plan_are_refused(capsys, here):
    ran(capsys, "reconstruct", "sm.mdf", "snake.mdf", "-o", "a.mdf", "--sweeps", "1")
    changed("a.mdf", "old.mdf", reconstruction___parameters__plan=None)
    changed("a.mdf", "odd.mdf", reconstruction___parameters__plan='kind = "reconstruct"\nversion = 9\n')
    changed("sm.mdf", "measured.mdf", calibration___plan=None)
    refused = {
        "old.mdf": "records no plan",
        "odd.mdf": "version 1",
        "measured.mdf": "measured.mdf records no plan: it was",
    }
    refused |= {"snake.mdf": "is a measurement; plans are recorded in images and in"}
    for name, says in refused.items():
        status, text = run(capsys, "plan", name, "-o", "p.toml")
        assert status == 2 and name in text and says in text and text.count("\n") == 1, text
    assert not (here / "p.toml").exists()
    assert 'name = "kaczmarz"' in ran(capsys, "plan", "a.mdf")
    assert re.search(r"  plan of \d+ lines", ran(capsys, "info", "a.mdf"))


def test_a_simulation_is_made_again(capsys, here):
    options = ["--peak-snr", "50", "--seed", "8", "--fov", "21.3", "20", "1", "--background-frames", "2"]
    ran(capsys, "simulate", "2d", *SHAPE, *options, "-o", "a.mdf", "--save-plan", "a.toml")
    assert mj.plans.load("a.toml").scanner.fov == (21.3, 20.0, 1.0)
    ran(capsys, "simulate", "--plan", "a.toml", "-o", "b.mdf")
    ran(capsys, "simulate", "--plan", "a.toml", "-o", "c.mdf", "--seed", "9")
    ran(capsys, "plan", "a.mdf", "-o", "recorded.toml")
    assert Path("recorded.toml").read_bytes() == Path("a.toml").read_bytes()
    one, two, three = (mj.io.read_system_matrix(f"{name}.mdf").values for name in "abc")
    assert one.tobytes() == two.tobytes() != three.tobytes()
    assert np.asarray(SimulatePlan.load("a.toml").simulate().values).shape == one.shape


def test_a_restoration_is_made_again(capsys, here):
    np.savetxt("missing.txt", [3, 7], "%d")
    words = [
        "--task",
        "inpaint",
        "--method",
        "biharmonic",
        "--missing",
        "missing.txt",
        "--no-identify",
        "--no-trust",
        "--no-draw",
    ]
    ran(capsys, "restore", "sm.mdf", "-o", "a.mdf", *words, "--min-frequency", "100", "--save-plan", "a.toml")
    plan = RestorePlan.load("a.toml")
    assert plan.missing == str(here / "missing.txt") and plan.method == "biharmonic" and not plan.identify
    ran(capsys, "restore", "sm.mdf", "-o", "b.mdf", "--plan", "a.toml", "--no-draw")
    ran(capsys, "plan", "b.mdf", "-o", "recorded.toml")
    assert Path("recorded.toml").read_bytes() == Path("a.toml").read_bytes()
    simulated = SimulatePlan("2d", ScannerOptions(shape=(6, 5, 1), diameter=22.0)).simulate()
    assert simulated.header.plan is not None
    found = mj.restore(simulated, "denoise", method="dct-soft").value
    assert found.header.plan is None  # that of what it was restored from is not its own
    one, two = (mj.io.read_system_matrix(f"{name}.mdf").values for name in "ab")
    assert one.tobytes() == two.tobytes()
    assert np.asarray(plan.restore(plan.matrix("sm.mdf")).value.values).tobytes() == one.tobytes()


BATCH = ["reconstruct", "sm.mdf", "snake.mdf", "dots.mdf", "spiral.mdf", "-o", "out/", "--sweeps", "3"]


def test_a_batch_makes_what_single_commands_make_and_prepares_once(capsys, here, monkeypatch):
    prepared = []
    create = PreparedSolver.create
    monkeypatch.setattr(PreparedSolver, "create", lambda *a, **k: prepared.append(a) or create(*a, **k))
    read = mj.io.read_system_matrix
    monkeypatch.setattr(
        "mpijax.plans.inputs.read_system_matrix", lambda *a, **k: prepared.append("SM") or read(*a, **k)
    )
    text = ran(capsys, *BATCH, "--save-plan", "plan.toml")
    assert len(prepared) == 2 and "out: 3 written of 3 measurements" in text
    assert mj.plans.load("plan.toml").solver == Kaczmarz(sweeps=3)
    assert sorted(os.listdir("out")) == sorted(
        f"{n}.{end}" for n in ("snake", "dots", "spiral") for end in ("mdf", "png")
    )
    for name in ("snake", "dots", "spiral"):
        ran(capsys, "reconstruct", "--plan", "plan.toml", "sm.mdf", f"{name}.mdf", "-o", "one.mdf")
        assert images("one.mdf").tobytes() == images(f"out/{name}.mdf").tobytes()


@pytest.mark.parametrize(
    "solver",
    [
        ["admm", "--epsilon", "noise", "--constraint", "none", "--iterations", "20"],
        ["tikhonov", "--weights", "whitening", "--drift-components", "1"],
    ],
)
def test_what_depends_on_a_measurement_is_prepared_for_each(capsys, here, solver):
    ran(capsys, "reconstruct", "sm.mdf", "snake.mdf", "dots.mdf", "-o", "out", *solver)
    ran(capsys, "reconstruct", "sm.mdf", "dots.mdf", "-o", "one.mdf", *solver)
    assert images("one.mdf").tobytes() == images("out/dots.mdf").tobytes()


def test_one_failure_does_not_stop_the_rest_and_what_is_there_is_left_out(capsys, here):
    words = [*BATCH[:3], "broken.mdf", "absent.mdf", *BATCH[3:]]
    status, text = run(capsys, *words)
    assert status == 1 and text.count("error: ") == 2 and "3 written, 2 FAILED of 5" in text, text
    assert "error: broken.mdf: " in text and "error: absent.mdf: " in text
    times = {path: path.stat().st_mtime_ns for path in (here / "out").iterdir()}
    assert len(times) == 6
    text = ran(capsys, *BATCH)
    assert "3 there before of 3" in text and all(path.stat().st_mtime_ns == then for path, then in times.items())
    (here / "out/dots.png").unlink()
    assert "1 written, 2 there before of 3" in ran(capsys, *BATCH)
    os.utime("spiral.mdf", (1, 1))
    shutil.copy2("snake.mdf", "out/snake.mdf")
    status, text = run(capsys, *BATCH)
    assert status == 1 and "1 there before, 2 FAILED of 3" in text, text
    assert "out/spiral.mdf is there, made otherwise: of another measurement. --overwrite makes it anew." in text
    assert "out/snake.mdf holds no reconstruction" in text
    status, text = run(capsys, *BATCH[:-1], "2")
    assert status == 1 and "out/dots.mdf is there, made otherwise: with sweeps = 3." in text, text
    status, text = run(capsys, *BATCH, "--max-order", "14", "--average-frames", "2")
    assert "out/dots.mdf is there, made otherwise: without max_order = 14; without average_frames = 2." in text, text
    assert "3 written of 3" in ran(capsys, *BATCH[:-1], "2", "--overwrite")
    assert "3 there before of 3" in ran(capsys, *BATCH[:-1], "2")


def test_a_batch_that_is_interrupted_leaves_nothing_half_written(capsys, here, monkeypatch):
    made = []
    write = mj.io.write

    def interrupted(path, data):
        made.append(path)
        if len(made) == 2:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(mj.io, "write", interrupted)
    status, text = run(capsys, *BATCH)
    assert status == 130 and "stopped: 1 of 3 are written" in text, text
    assert sorted(os.listdir("out")) == ["snake.mdf", "snake.png"]
    assert "2 written, 1 there before of 3" in ran(capsys, *BATCH)


def test_a_batch_of_many_frames_is_written_in_blocks(capsys, here):
    words = ["--average-frames", "1", "--block", "3", "--sweeps", "2"]
    ran(capsys, "reconstruct", "sm.mdf", "snake.mdf", "dots.mdf", "-o", "out", *words)
    ran(capsys, "reconstruct", "sm.mdf", "dots.mdf", "-o", "one.mdf", *words)
    assert images("out/dots.mdf").shape[0] == 4
    assert images("one.mdf").tobytes() == images("out/dots.mdf").tobytes()


def test_a_bad_matrix_fails_once(capsys, here):
    status, text = run(capsys, "reconstruct", "snake.mdf", "dots.mdf", "spiral.mdf", "-o", "out")
    assert status == 2 and text.count("error:") == 1 and "holds no calibration" in text and not (here / "out").exists()
    status, text = run(capsys, *BATCH, "--snr-threshold", "1e9")
    assert status == 2 and text.count("error:") == 1 and "keeps no row" in text and not (here / "out").exists()


def test_the_page_runs(here):
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(snippets[0], names)
    image, again = np.asarray(names["image"].images), np.asarray(names["again"].images)
    assert image.tobytes() == again.tobytes()  # the last strength is the default one


def test_a_batch_says_of_each_file_what_a_single_command_says(capsys, here):
    for name in ("snake", "dots"):
        with h5py.File(f"{name}.mdf", "a") as file:
            file["/acquisition/gradient"][...] *= 1.1
    with h5py.File("spiral.mdf", "a") as file:
        del file["/acquisition/gradient"]
    alone = ran(capsys, "reconstruct", "sm.mdf", "dots.mdf", "-o", "one.mdf")
    (warning,) = re.findall(r"warning: (the measurement's gradient is 1.1 times .*)", alone)
    text = ran(capsys, *BATCH)
    assert text.count("warning: ") == 2, text
    for name in ("snake", "dots"):
        assert f"warning: {name}.mdf: {warning}\n" in text and re.search(rf"{name}\.mdf .* written \*", text)
    assert "spiral.mdf: not compared, a file does not say: gradient\n" in text
    assert "* see what is said of it above\nout: 3 written of 3 measurements" in text
    text = ran(capsys, *BATCH[:-2], "admm", "--iterations", "2", "--overwrite")
    for name in ("snake", "dots", "spiral"):
        assert f"warning: {name}.mdf: admm has not converged for 1 of 1 images" in text, text


def test_a_name_without_a_suffix_is_a_folder_for_one_measurement_as_for_several(tmp_path):
    one, two = [Path("a.mdf")], [Path("a.mdf"), Path("b.mdf")]
    (tmp_path / "there.d").mkdir()
    for output in ("images", "images/", "images.d/", str(tmp_path / "there.d")):
        assert batch.folder(output, one) == batch.folder(output, two) == Path(output)
    for output in ("image.mdf", "image.nii.gz", "image.odd"):
        assert batch.folder(output, one) is None
        with pytest.raises(ValueError, match="names a file, and 2 measurements are given; give a folder"):
            batch.folder(output, two)


def test_one_measurement_into_a_folder(capsys, here):
    assert "images: 1 written of 1 measurements" in ran(
        capsys, "reconstruct", "sm.mdf", "snake.mdf", "-o", "images", "--sweeps", "1"
    )
    assert sorted(os.listdir("images")) == ["snake.mdf", "snake.png"]
    Path("taken").write_text("a file")
    status, text = run(capsys, "reconstruct", "sm.mdf", "snake.mdf", "-o", "taken")
    assert status == 2 and "taken is a file, not a folder" in text, text
