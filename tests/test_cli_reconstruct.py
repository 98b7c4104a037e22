"""``mpijax measure`` and ``mpijax reconstruct``: from nothing to images, and one line for every mistake."""

import os
import re
import shutil
import sys
from dataclasses import asdict

import h5py
import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.datasets.phantoms import snake_phantom
from tests.test_cli import run

PRESET = ["--shape", "12", "12", "1", "--diameter", "22"]
BY_PERIOD = (
    "/measurement/data", "/calibration/snr", "/acquisition/gradient", "/acquisition/offsetField",
    "/acquisition/drivefield/strength", "/acquisition/drivefield/phase",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A calibration, a measurement with a background signal in all its frames, and an empty scan."""
    folder = tmp_path_factory.mktemp("reconstruct")
    commands = (
        ["simulate", "2d", "-o", folder / "sm.mdf", *PRESET, "--background-frames", "6"],
        ["measure", "2d", "snake", "-o", folder / "clean.mdf", *PRESET, "--frames", "6", "--background-frames", "4"],
    )
    for command in commands:
        sys.argv = ["mpijax", *map(str, command)]
        mj.cli.main()
    clean = mj.io.read_measurement(folder / "clean.mdf")
    offset = 0.3 * np.abs(clean.values).max() * np.exp(1j * np.arange(clean.values.size // 6)).reshape(1, 1, 3, -1)
    offset = offset.astype(np.complex64)

    def write(name, values, background):
        data = mj.Measurement.create(
            values, clean.frequencies[: values.shape[-1]], background=background, n_samples=clean.n_samples,
            bandwidth=clean.bandwidth, metadata=dict(clean.metadata) | {"/study/name": "Snakes"},
        )  # fmt: skip
        mj.io.write_measurement(folder / name, data)

    write("m.mdf", clean.values + offset, clean.background + offset)
    write("bare.mdf", clean.values + offset, None)
    write("empty.mdf", clean.background + offset, None)
    write("short.mdf", clean.values[..., :100], None)
    return folder


def changed(source, target, **values):
    """A copy of a file with some fields replaced, or removed (None); double underscores stand for slashes."""
    shutil.copy(source, target)
    with h5py.File(target, "a") as file:
        for name, item in values.items():
            path = name.replace("__", "/")
            if path in file:
                del file[path]
            if item is not None:
                file[path] = item
    return target


def reference(files, name="clean.mdf", **options):
    matrix = mj.io.read_system_matrix(files / "sm.mdf", background="mean", snr_threshold=2.0, min_frequency=80e3)
    data = mj.io.read_measurement(files / name, background="mean", average_frames=6)
    options = {"regularization": 1e-2, "sweeps": 10} | options
    return matrix, np.asarray(mj.reconstruction.reconstruct(matrix, data, **options).value)


def test_two_files_become_an_image_a_picture_and_a_summary(capsys, files, tmp_path):
    out = tmp_path / "image.mdf"
    status, text = run(capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out)
    assert status == 0 and sorted(os.listdir(tmp_path)) == ["image.mdf", "image.png"], text
    made = mj.io.read_reconstruction(out)
    matrix, expected = reference(files, "m.mdf")
    np.testing.assert_array_equal(made.images, expected)
    truth = snake_phantom(matrix.grid).reshape(made.images.shape)
    assert np.corrcoef(made.images.ravel(), truth.ravel())[0, 1] > 0.9
    assert made.images.sum() == pytest.approx(truth.sum(), rel=0.2)
    for words in (f"{len(matrix.rows())} rows of", "SNR at least 2", "6 of 6 frames, averaged by 6 into 1",
                  "mean of 4 frames subtracted", "kaczmarz", "12 x 12 x 1", f"{expected.max():.4g}"):  # fmt: skip
        assert words in text, text
    assert made.parameters["systemMatrix"] == "sm.mdf" and made.parameters["rows"] == len(matrix.rows())
    assert made.parameters["measurementUuid"] == mj.io.read_info(files / "m.mdf").uuid
    assert made.metadata["/study/name"] == "Snakes" and made.parameters["lambda"] > 0
    status, text = run(capsys, "info", out)
    assert status == 0 and "reconstruction" in text and "method kaczmarz" in text
    assert (tmp_path / "image.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("options", [["m.mdf"], ["bare.mdf", "--empty", "EMPTY"]])
def test_the_background_is_subtracted_whatever_it_comes_from(capsys, files, tmp_path, options):
    out = tmp_path / "image.mdf"
    name, *rest = [files / "empty.mdf" if o == "EMPTY" else o for o in options]
    status, text = run(capsys, "reconstruct", files / "sm.mdf", files / name, "-o", out, *rest)
    assert status == 0, text
    _, expected = reference(files)
    np.testing.assert_allclose(mj.io.read_reconstruction(out).images, expected, atol=1e-3 * expected.max())


def test_without_background_subtraction_the_offset_spoils_the_image(capsys, files, tmp_path):
    out = tmp_path / "image.mdf"
    run(capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, "--background", "none")
    _, expected = reference(files)
    assert mj.metrics.nrmse(mj.io.read_reconstruction(out).images, expected) > 0.1


def test_frames_nifti_and_absolute_lambda(capsys, files, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    names = [tmp_path / name for name in ("a.mdf", "picture.pdf", "a.nii.gz")]
    status, text = run(
        capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", names[0], "--png", names[1], "--nifti", names[2],
        "--frames", "1:5", "--average-frames", "2", "--lambda", "1e-12", "--absolute", "--sweeps", "2", "--weights", "row_norm",
    )  # fmt: skip
    assert status == 0 and "averaged by 2 into 2" in text, text
    assert sorted(os.listdir(tmp_path)) == ["a.mdf", "a.nii.gz", "picture.pdf"]
    made = mj.io.read_reconstruction(names[0])
    assert made.images.shape == (2, 1, 12, 12) and made.parameters["lambda"] == pytest.approx(1e-12)
    matrix, _ = reference(files)
    data = mj.io.read_measurement(files / "m.mdf", background="mean", frames=slice(1, 5), average_frames=2)
    expected = mj.reconstruction.reconstruct(
        matrix, data, regularization=1e-12, relative=False, sweeps=2, row_weights="row_norm"
    )
    np.testing.assert_array_equal(made.images, np.asarray(expected.value))
    np.testing.assert_array_equal(nibabel.load(names[2]).get_fdata()[..., 1], made.images[1].T)


def test_rows_can_be_chosen(capsys, files, tmp_path):
    out = tmp_path / "image.mdf"
    options = ["--snr-threshold", "5", "--max-frequency", "400", "--channels", "1", "--max-order", "12"]
    status, text = run(capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, *options)
    chosen = mj.io.open_system_matrix(files / "sm.mdf").select(
        snr_threshold=5, min_frequency=80e3, max_frequency=400e3, channels=1, max_mixing_order=12
    )
    assert status == 0 and text.startswith(f"{chosen.n_rows} rows of") and "SNR at least 5" in text, text


def test_methods_side_by_side(capsys, files, tmp_path):
    out = tmp_path / "image.mdf"
    status, text = run(
        capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, "--compare", "--method", "admm", "--iterations", "60"
    )  # fmt: skip
    assert status == 0, text
    for name in ("kaczmarz", "tikhonov", "admm"):
        assert name in text
    made = mj.io.read_reconstruction(out)
    _, expected = reference(files, "m.mdf", solver="admm", iterations=60, regularization=1e-3)
    np.testing.assert_allclose(made.images, expected, atol=1e-4 * expected.max())
    assert made.parameters["method"] == "admm" and made.parameters["iterations"] == 60


def test_admm_is_tuned_and_says_when_it_stops_early(capsys, files, tmp_path):
    out = tmp_path / "image.mdf"
    options = ["--method", "admm", "--l1", "0.2", "--tv", "0.8", "--iterations", "3", "--average-frames", "3"]
    status, text = run(capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, *options)
    assert status == 0 and text.count("warning:") == 1, text
    assert "warning: admm has not converged for 2 of 2 images after 3 iterations" in text
    found = mj.io.read_reconstruction(out).parameters
    assert found["tv"] == pytest.approx(4 * found["l1"]) and "epsilon" not in found


@pytest.mark.parametrize("epsilon, passed", [("noise", "noise"), ("2.5", 2.5)])
def test_epsilon_takes_the_place_of_lambda(capsys, files, tmp_path, monkeypatch, epsilon, passed):
    asked = {}

    def solve(problem, solver, sharding):
        asked.update(asdict(solver))
        return mj.Solution(np.ones((1, 1, 12, 12), np.float32), {"residual": np.zeros(1), "epsilon": 2.5})

    monkeypatch.setattr(mj.reconstruction, "solve", solve)
    out = tmp_path / "image.mdf"
    options = ["--method", "admm", "--epsilon", epsilon]
    status, text = run(capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, *options)
    assert status == 0 and "warning" not in text, text
    assert asked == asdict(mj.reconstruction.Admm(epsilon=passed))
    found = mj.io.read_reconstruction(out).parameters
    assert found["epsilon"] == 2.5 and not {"lambda", "regularization", "relative"} & set(found)


def test_an_empty_scan_is_a_measurement_without_iron(capsys, files, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(mj.viz, "plot_slices", lambda panels, grid, **_: drawn.update(panels))
    monkeypatch.setattr(mj.viz, "save", lambda figure, path: None)
    empty, out = tmp_path / "empty.mdf", tmp_path / "image.mdf"
    scan = ["--frames", "3", "--background-frames", "2", "--no-draw"]
    status, text = run(capsys, "measure", "2d", "empty", "-o", empty, *PRESET, *scan)
    assert status == 0, text
    iron, noise = (np.abs(mj.io.read_measurement(path).values).max() for path in (files / "clean.mdf", empty))
    assert 0 < noise < 0.05 * iron
    options = ["--empty", empty, "--frames", "1:6", "--average-frames", "2"]
    status, text = run(capsys, "reconstruct", files / "sm.mdf", files / "clean.mdf", "-o", out, *options)
    assert status == 0 and f"mean of the 5 frames of {empty}" in text, text
    assert list(drawn) == ["frames 1 to 2", "frames 3 to 4"]


def test_the_neural_field_gets_its_key_and_steps(capsys, files, tmp_path, monkeypatch):
    asked = {}

    def solve(problem, solver, sharding):
        asked.update(asdict(solver), solver=type(solver))
        return mj.Solution(np.ones((1, 1, 12, 12), np.float32), {"residual": np.zeros(1)})

    monkeypatch.setattr(mj.reconstruction, "solve", solve)
    out = tmp_path / "image.mdf"
    options = ["--method", "neural", "--iterations", "100", "--seed", "3"]
    status, text = run(capsys, "reconstruct", files / "sm.mdf", files / "m.mdf", "-o", out, *options)
    assert status == 0, text
    assert asked["solver"] is mj.reconstruction.NeuralImplicit and asked["steps"] == 100 and asked["progress"]
    assert jax.numpy.array_equal(jax.random.key_data(asked["key"]), jax.random.key_data(jax.random.key(3)))
    found = mj.io.read_reconstruction(out).parameters
    assert found["seed"] == 3 and found["iterations"] == 100 and "lambda" not in found and "regularization" not in found


def test_equal_periods_are_averaged_and_patches_need_a_choice(capsys, files, tmp_path):
    data = h5py.File(files / "m.mdf")["/measurement/data"][()]
    two = changed(
        files / "m.mdf", tmp_path / "two.mdf", __measurement__data=np.concatenate([0.5 * data, 1.5 * data], 1),
        __acquisition__numPeriodsPerFrame=2,
    )  # fmt: skip
    out = tmp_path / "image.mdf"
    status, text = run(capsys, "reconstruct", files / "sm.mdf", two, "-o", out)
    assert status == 0 and "mean of 2 equal periods" in text, text
    _, expected = reference(files, "m.mdf")
    np.testing.assert_allclose(mj.io.read_reconstruction(out).images, expected, atol=1e-3 * expected.max())

    offsets = np.array([[[0.0, 0, 0]], [[1e-3, 0, 0]]])
    patches = changed(two, tmp_path / "patches.mdf", __acquisition__offsetField=offsets)
    status, text = run(capsys, "reconstruct", files / "sm.mdf", patches, "-o", out)
    assert status == 2 and "--period 0 to 1" in text and text.count("\n") == 1
    status, text = run(capsys, "reconstruct", files / "sm.mdf", patches, "-o", out, "--period", "1")
    assert status == 0, text
    images = mj.io.read_reconstruction(out).images
    np.testing.assert_allclose(images, 1.5 * expected, atol=2e-3 * expected.max())


def test_a_calibration_of_several_patches_is_reconstructed_jointly(capsys, files, tmp_path):
    def doubled(name):
        with h5py.File(files / name) as file:
            fields = {p.replace("/", "__"): np.repeat(file[p][()], 2, int(p == "/measurement/data" and name == "m.mdf"))
                      for p in BY_PERIOD if p in file}  # fmt: skip
        return changed(files / name, tmp_path / name, __acquisition__numPeriodsPerFrame=2, **fields)

    out = tmp_path / "image.mdf"
    options = ["--method", "tikhonov", "--lambda", "1e-2"]
    status, text = run(capsys, "reconstruct", doubled("sm.mdf"), doubled("m.mdf"), "-o", out, *options)
    assert status == 0 and "2 patches" in text, text
    _, expected = reference(files, "m.mdf", solver="tikhonov", regularization=1e-2)
    np.testing.assert_allclose(mj.io.read_reconstruction(out).images, expected, atol=2e-3 * np.abs(expected).max())
    status, text = run(capsys, "reconstruct", tmp_path / "sm.mdf", files / "m.mdf", "-o", out)
    assert status == 2 and "the calibration has 2 periods" in text


def broken(files, folder):
    """Files with something wrong in them."""
    data = h5py.File(files / "m.mdf")["/measurement/data"][()]
    nan = data.copy()
    nan[0, 0, 0, 300] = np.nan
    matrix = h5py.File(files / "sm.mdf")["/measurement/data"][()]
    matrix[0, 0, 300, 5] = np.nan
    return {
        "NAN": changed(files / "m.mdf", folder / "nan.mdf", __measurement__data=nan),
        "BADSM": changed(files / "sm.mdf", folder / "badsm.mdf", __measurement__data=matrix),
        "SAMPLES": changed(
            files / "m.mdf", folder / "samples.mdf", __acquisition__receiver__numSamplingPoints=1630,
            __measurement__data=data[..., :816], __acquisition__receiver___frequencies=None,
        ),
        "OTHER": changed(
            files / "m.mdf", folder / "other.mdf", __acquisition__receiver__bandwidth=1.0e6,
            __acquisition__receiver___frequencies=None,
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["absent.mdf", "M", "-o", "OUT"], "there is no file absent.mdf"),
        (["SM", "absent.mdf", "-o", "OUT"], "there is no file absent.mdf"),
        (["README.md", "M", "-o", "OUT"], "not an HDF5 file"),
        (["SM", "README.md", "-o", "OUT"], "not an HDF5 file"),
        (["M", "M", "-o", "OUT"], "holds no calibration"),
        (["M", "SM", "-o", "OUT"], "Perhaps the files are swapped"),
        (["SM", "SM", "-o", "OUT"], "is a calibration"),
        (["SM", "SHORT", "-o", "OUT"], "the measurement lacks"),
        (["SM", "SAMPLES", "-o", "OUT"], "samples per period 1632 and 1630"),
        (["SM", "OTHER", "-o", "OUT"], "of different scans"),
        (["SM", "NAN", "-o", "OUT"], "NaN"),
        (["BADSM", "M", "-o", "OUT", "--snr-threshold", "0"], "NaN"),
        (["SM", "-o", "OUT"], "no measurement is given"),
        (["SM", "M", "EMPTY", "-o", "OUT"], "names a file"),
        (["SM", "M", "M", "-o", "FOLDER"], "would both be written"),
        (["SM", "M", "-o", "FOLDER", "--compare"], "--compare is for a single measurement"),
        (["SM", "M", "-o", "OUT", "--plan", "absent.toml"], "absent.toml does not exist"),
        (["SM", "M", "-o", "OUT", "--save-plan", "OUT"], "is named for two outputs"),
        (["SM", "M", "-o", "OUT", "--save-plan", "M"], "would be overwritten"),
        (["SM", "M", "-o", "SM"], "would be overwritten"),
        (["SM", "M", "-o", "OUT", "--png", "OUT"], "named for two outputs"),
        (["SM", "M", "-o", "OUT", "--png", "image.xyz"], "the suffix names the format of a figure"),
        (["SM", "M", "-o", "OUT", "--nifti", "image.img"], ".nii or .nii.gz"),
        (["SM", "M", "-o", "OUT", "--method", "magic"], "'kaczmarz', 'tikhonov', 'admm', 'neural'"),
        (["SM", "M", "-o", "OUT", "--lambda", "-1"], "regularization = -1.0"),
        (["SM", "M", "-o", "OUT", "--lambda", "nan"], "regularization = nan"),
        (["SM", "M", "-o", "OUT", "--absolute"], "no default"),
        (["SM", "M", "-o", "OUT", "--sweeps", "0"], "sweeps = 0"),
        (["SM", "M", "-o", "OUT", "--constraint", "round"], "'nonnegative', 'real', None"),
        (["SM", "M", "-o", "OUT", "--weights", "heavy"], "'none', 'row_norm', 'whitening'"),
        (["SM", "M", "-o", "OUT", "--background", "blue"], "'auto', 'none'"),
        (["SM", "M", "-o", "OUT", "--background", "mean", "--empty", "EMPTY"], "choose one"),
        (["SM", "EMPTY", "-o", "OUT", "--background", "mean"], "background"),
        (["SM", "M", "-o", "OUT", "--empty", "SHORT"], "does not match"),
        (["SM", "M", "-o", "OUT", "--empty", "absent.mdf"], "absent.mdf"),
        (["SM", "M", "-o", "OUT", "--empty", "SM"], "is a calibration"),
        (["SM", "M", "-o", "OUT", "--empty", "M"], "is the measurement itself"),
        (["SM", "M", "-o", "OUT", "--empty", "COPY"], "is the measurement itself"),
        (["SM", "M", "-o", "OUT", "--nifti", "/proc/a.nii"], "nothing can be made in /proc"),
        (["SM", "M", "-o", "OUT", "--lambda", "abc"], "['abc']. See mpijax reconstruct --help."),
        (["SM", "M"], "--output PATH"),
        (["SM", "M", "-o", "OUT", "--swepes", "3"], "Perhaps you meant: --sweeps INT."),
        (["SM", "M", "-o", "OUT", "--tv", "0.5"], "--tv is an option of admm, and kaczmarz has none"),
        (["SM", "M", "-o", "OUT", "--method", "admm", "--l1", "-1"], "l1 = -1"),
        (["SM", "M", "-o", "OUT", "--method", "admm", "--epsilon", "loud"], "'noise' or a number"),
        (["SM", "M", "-o", "OUT", "--method", "admm", "--epsilon", "1", "--lambda", "1"], "plays no part"),
        (["SM", "M", "-o", "OUT", "--method", "neural", "--lambda", "3"], "kaczmarz and tikhonov and admm"),
        (["SM", "M", "-o", "OUT", "neural", "--absolute"], "--absolute is an option of kaczmarz"),
        (["SM", "M", "-o", "OUT", "admm", "--sweeps", "3"], "--sweeps is an option of kaczmarz, and admm has none"),
        (["SM", "M", "-o", "OUT", "--snr-threshold", "1e9"], "keeps no row"),
        (["SM", "M", "-o", "OUT", "--snr-threshold", "-2"], "snr_threshold = -2"),
        (["SM", "M", "-o", "OUT", "--min-frequency", "9000"], "keeps no row"),
        (["SM", "M", "-o", "OUT", "--channels", "7"], "there are channels 0, 1, 2"),
        (["SM", "M", "-o", "OUT", "--frames", "many"], "frames = 'many'"),
        (["SM", "M", "-o", "OUT", "--frames", "99"], "frames 0 to 5"),
        (["SM", "M", "-o", "OUT", "--frames", "99:"], "none of the 6 frames"),
        (["SM", "M", "-o", "OUT", "--frames", "5:5"], "frames = '5:5'; give one frame (5) or a range"),
        (["SM", "M", "-o", "OUT", "--frames", "50:60"], "frames = '50:60' holds none of the 6 frames"),
        (
            ["SM", "M", "-o", "OUT", "--frames", "4:20"],
            "frames = '4:20' ends behind the last of 6 frames; 2 of the range exist",
        ),
        (["SM", "M", "-o", "OUT", "--frames=-1"], "frames = '-1'"),
        (["SM", "M", "-o", "OUT", "--frames=-2:"], "frames = '-2:'"),
        (["SM", "M", "-o", "OUT", "--average-frames", "7"], "only 6 frames"),
        (["SM", "M", "-o", "OUT", "--period", "3"], "periods 0 to 0"),
        (["SM", "EMPTY", "-o", "OUT", "--drift-components", "2"], "background frames"),
    ],
)
def test_a_mistake_costs_one_line_and_leaves_nothing(capsys, files, tmp_path, arguments, message):
    names = {"SM": files / "sm.mdf", "M": files / "m.mdf", "SHORT": files / "short.mdf", "EMPTY": files / "empty.mdf"}
    made = {"NAN", "BADSM", "SAMPLES", "OTHER"} & set(arguments)
    if made:
        (tmp_path / "in").mkdir()
        names |= broken(files, tmp_path / "in")
    folder = tmp_path / "out"
    folder.mkdir()
    names |= {"OUT": folder / "image.mdf", "FOLDER": folder, "README.md": mj.__path__[0] + "/../README.md"}
    if "COPY" in arguments:
        names["COPY"] = changed(files / "m.mdf", tmp_path / "copy.mdf")
    status, text = run(capsys, "reconstruct", *(names.get(a, a) for a in arguments))
    assert status == 2 and text.count("error:") == 1 and message in text and "Traceback" not in text, text
    assert text.splitlines()[-1].startswith("error:")
    assert os.listdir(folder) == []


def test_nifti_without_nibabel_is_refused_before_anything_is_read(capsys, files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    status, text = run(
        capsys,
        "reconstruct",
        files / "absent.mdf",
        files / "m.mdf",
        "-o",
        tmp_path / "a.mdf",
        "--nifti",
        tmp_path / "a.nii",
    )
    assert status == 2 and text == "error: NIfTI needs nibabel; install it with pip install 'mpijax[nifti]'.\n"
    assert os.listdir(tmp_path) == []


def test_inspect_of_a_measurement_names_what_shows_it(capsys, files, tmp_path):
    status, text = run(capsys, "inspect", files / "clean.mdf", "-o", tmp_path / "a.png")
    assert status == 2 and "it has no grid (mpijax info says what it holds, mpijax view" in text, text
    assert os.listdir(tmp_path) == []


def test_a_bound_that_no_image_meets_is_refused_with_one_that_can_be_given(capsys, files, tmp_path):
    words = [
        "reconstruct",
        files / "sm.mdf",
        files / "clean.mdf",
        "-o",
        tmp_path / "a.mdf",
        "admm",
        "--iterations",
        "50",
    ]
    status, text = run(capsys, *words, "--epsilon", "1e-12")
    assert status == 2 and "None" not in text, text
    (bound,) = re.findall(r"give epsilon = \S+ \(--epsilon (\S+)\) or more, or leave it out", text)
    (least,) = re.findall(r"weighted residual below (\S+)\. ", text)
    assert float(least) <= float(bound) <= 1.1 * float(least)
    assert os.listdir(tmp_path) == []


def test_the_help_of_a_solver_is_of_sentences(capsys):
    for name in ("admm", "kaczmarz", "tikhonov", "neural"):
        status, text = run(capsys, "reconstruct", name, "--help")
        assert status == 0 and not re.search(r"See \w+\.", text), text


def test_the_phantom_is_drawn_beside_its_measurement(capsys, tmp_path, monkeypatch):
    drawn = []
    plotted = mj.viz.plot_slices
    monkeypatch.setattr(
        mj.viz, "plot_slices", lambda *given, **more: drawn.append((*given, more)) or plotted(*given, **more)
    )
    words = ["measure", "2d", "snake", "--shape", "4", "4", "1", "--frames", "1", "--background-frames", "2"]
    status, text = run(capsys, *words, "-o", tmp_path / "a.mdf")
    assert status == 0 and f"wrote {tmp_path / 'a.png'}: the phantom" in text, text
    ((panels, grid, more),) = drawn
    np.testing.assert_allclose(panels["snake"], grid.to_image(snake_phantom(grid)))
    assert grid.shape == (12, 12, 1) and more == {"unit": "mmol(Fe)/L"}
    assert sorted(os.listdir(tmp_path)) == ["a.mdf", "a.png"]
    status, text = run(capsys, *words, "-o", tmp_path / "b.mdf", "--no-draw")
    assert status == 0 and "png" not in text and not (tmp_path / "b.png").exists(), text
    (tmp_path / "c.png").mkdir()
    status, text = run(capsys, *words, "-o", tmp_path / "c.mdf")
    assert status == 2 and "c.png is a folder" in text and not (tmp_path / "c.mdf").exists(), text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["2d", "horse", "-o", "OUT"], "'spiral'"),
        (["5d", "snake", "-o", "OUT"], "'2d'"),
        (["2d", "snake", "-o", "FOLDER"], "is a folder"),
        (["2d", "snake", "-o", "OUT", "--center", "0", "0", "90"], "outside the field of view"),
        (["2d", "snake", "-o", "OUT", "--frames", "0"], "frames = 0"),
        (["2d", "snake", "-o", "OUT", "--peak-snr", "0"], "peak_snr"),
    ],
)
def test_bad_measure(capsys, tmp_path, arguments, message):
    names = {"OUT": tmp_path / "a.mdf", "FOLDER": tmp_path}
    status, text = run(capsys, "measure", *(names.get(a, a) for a in arguments), "--shape", "4", "4", "1")
    assert status == 2 and text.count("error:") == 1 and message in text and text.count("\n") == 1, text
    assert os.listdir(tmp_path) == []
