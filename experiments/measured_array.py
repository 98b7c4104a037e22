"""A measured system matrix of a gradient-free receive-coil array: files, images, and what a simulated network does there.

Data: S.mat (40 equations x 8 x 8 pixels), b1.mat and b2.mat (measured phantoms), MATLAB v7.3, MIT license, BUAALGH
ISBI-2026-MPI-Encoding-Array; not part of the project. The frequencies of the rows are not documented, and the MDF files
written here say so.

Command:  python -m experiments.measured_array --root DIR [--model RUN] [--run-dir DIR]

Reconstruction as published with the data: rows interpolated bilinearly from 8 x 8 to 15 x 15, Kaczmarz with a relative lambda of
5e-4, 300 sweeps, real and non-negative, rows not normalized (normalized, the noisy even harmonics dominate). Expected: a relative
residual of about 3 %, one blob each, top left and center. With ``--model`` (a run directory of ``vrfnet_open_mpi`` at scale 2)
the rows are averaged over 2 x 2 pixels and recovered by the network and by interpolation.

What `mpijax restore --task upsample` makes of the array is scored at measured pixels that are hidden from it, those between every
second one per axis: by the weights that ship without a trial (`mpijax.restoration.trial`), and as it is. 4 x 4 pixels are too few
to try a network, which then gives way; on the 8 x 8 of the array itself it is tried. Expected: the network is 1.7 times as far off
as a spline, and the spline is used both times. Expected time: under a minute.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5py
import jax
import numpy as np
import scipy.ndimage
import tyro

import mpijax as mj
from experiments.support.run import markdown_table, run_main, write_record
from experiments.support.upsampling import Case, evaluate, from_upsampler
from mpijax.core.files import write_text
from mpijax.core.typing import Complex, Float
from mpijax.datasets import CoarseMeasurement
from mpijax.restoration import find_method, load_upsampler
from mpijax.rows import Upsample
from mpijax.viz import plot_reconstructions, plot_rows, save

UNKNOWN = (
    "frequencies, field of view and receive channels of this measured matrix are not documented; pixels are given 1 mm"
)
RELATIVE_LAMBDA = 5e-4
SWEEPS = 300


class Untried(Upsample):
    """Upsampling as it was before networks were tried."""

    has_trial: ClassVar[bool] = False


@dataclass(frozen=True)
class Config:
    """Where data and results are.

    Attributes:
        root: folder with S.mat, b1.mat and b2.mat.
        model: run directory of a network trained at scale 2; None = interpolation only.
        run_dir: where results go.
    """

    root: Path
    model: Path | None = None
    run_dir: Path = Path("runs/measured_array")


def read_mat(path: Path, name: str) -> Complex[np.ndarray, "..."]:
    """A complex variable of a MATLAB v7.3 file in MATLAB's own index order.

    Raises:
        ValueError: the file is not HDF5 or lacks the variable.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist; --root must hold S.mat, b1.mat and b2.mat.")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not a MATLAB v7.3 (HDF5) file.")
    with h5py.File(path) as file:
        if name not in file:
            raise ValueError(f"{path} holds {', '.join(file)}; expected a variable {name}.")
        stored = file[name][()]
    return (stored["real"] + 1j * stored["imag"]).T


def array_matrix(root: Path) -> mj.SystemMatrix:
    """The array's matrix: one channel of 40 rows, pixels in MATLAB's column order turned to x fastest, the first row on top."""
    equations = read_mat(root / "S.mat", "S")
    images = equations.reshape(len(equations), 8, 8).transpose(0, 2, 1)[:, ::-1]  # (row, x, y down) -> (row, y up, x)
    grid = mj.Grid.create((8, 8, 1), (8e-3, 8e-3, 1e-3))
    unknown = np.full(len(equations), np.nan)
    metadata = {"/experiment/description": UNKNOWN, "/study/name": "encoding array"}
    return mj.SystemMatrix.create(
        np.ascontiguousarray(images).reshape(1, len(equations), 64), unknown, grid, bandwidth=np.nan, metadata=metadata
    )


def array_measurement(root: Path, name: str, matrix: mj.SystemMatrix) -> mj.Measurement:
    """One phantom as a measurement of a single frame."""
    values = read_mat(root / f"{name}.mat", name).reshape(1, 1, 1, -1)
    return mj.Measurement.create(
        values,
        matrix.frequencies,
        n_samples=matrix.n_samples,
        bandwidth=np.nan,
        metadata={"/experiment/description": UNKNOWN, "/study/name": "encoding array"},
    )


def blobs(image: Float[np.ndarray, "y x"]) -> int:
    """Number of connected regions above half of the maximum."""
    return int(scipy.ndimage.label(image > image.max() / 2)[1])


def reconstruct(matrix: mj.SystemMatrix, data: mj.Measurement) -> tuple[np.ndarray, float]:
    """Image (y, x) on 15 x 15 pixels and the relative residual |Sc - u|/|u|."""
    fine = matrix.regrid(
        mj.Grid.create((15, 15, 1), (7.5e-3, 7.5e-3, 1e-3))
    )  # centers on those of the 8 x 8 pixels and between
    solution = mj.reconstruction.reconstruct(fine, data, regularization=RELATIVE_LAMBDA, sweeps=SWEEPS)
    image = np.asarray(solution.value)[0, 0]
    samples = image.reshape(-1) / float(fine.to_concentration(np.ones(1))[0])
    measured = np.asarray(data.rows(fine.row_index()))[0]
    residual = np.asarray(fine.rows()) @ samples - measured
    return image, float(np.linalg.norm(residual) / np.linalg.norm(measured))


def main(config: Config) -> dict[str, Any]:
    """Write and read the files, reconstruct, recover; returns what results.json holds."""
    if config.model is not None:
        load_upsampler(config.model, 2)  # a model that does not fit is refused before anything is written
    original = array_matrix(config.root)
    files = config.run_dir / "files"
    mj.io.write_system_matrix(files / "system_matrix.mdf", original)
    matrix = mj.io.read_system_matrix(files / "system_matrix.mdf")
    assert isinstance(matrix, mj.SystemMatrix)
    results: dict[str, Any] = {"read_back_bit_for_bit": bool(np.array_equal(matrix.values, original.values))}
    images = {}
    for name in ("b1", "b2"):
        mj.io.write_measurement(files / f"{name}.mdf", array_measurement(config.root, name, matrix))
        image, residual = reconstruct(matrix, mj.io.read_measurement(files / f"{name}.mdf"))
        peak = np.unravel_index(np.argmax(image), image.shape)
        results[name] = {
            "relative_residual": residual,
            "blobs": blobs(image),
            "peak_x_mm": float(peak[1] * 0.5 - 3.5),
            "peak_y_mm": float(peak[0] * 0.5 - 3.5),
        }
        images[name] = image / image.max()
    save(
        plot_reconstructions(images, extent=(-3.75, 3.75, -3.75, 3.75), unit="relative to maximum"),
        config.run_dir / "images.png",
    )
    results["recovery"] = _recover(config, matrix)
    results["hidden"], results["trials"] = hidden_pixels(matrix), trials(config, matrix)
    write_record(config.run_dir, "measured_array", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.run_dir / "report.md", _report(config, results))
    return results


def hidden_pixels(matrix: mj.SystemMatrix) -> list[dict[str, Any]]:
    """Relative error at hidden pixels of what is restored from every second pixel per axis, 4 x 4 to 8 x 8."""
    rows = np.asarray(matrix.images())[0, :, 0]
    hidden = np.ones(rows.shape[1:], bool)
    hidden[::2, ::2] = False
    nx, ny, _ = matrix.grid.shape
    small = mj.Grid.create((nx // 2, ny // 2, 1), matrix.grid.fov)
    coarse = np.ascontiguousarray(rows[:, ::2, ::2]).reshape(1, len(rows), -1)
    measured = mj.SystemMatrix.create(coarse, matrix.frequencies, small, bandwidth=np.nan)
    peak, network, records = np.abs(rows).max((1, 2)), find_method(Upsample(2, "stride"), 2)[0], []
    for name, task, method in (
        ("upsample_2d without a trial", Untried(2, "stride"), network),
        ("mpijax restore --task upsample", Upsample(), None),
        ("spline", Upsample(), "spline"),
        ("bicubic", Upsample(2, "stride"), "bicubic"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what is said is in the record
            solution = mj.restore(measured, task, method=method)
        error = (np.asarray(solution.value.images())[0, :, 0] - rows)[:, hidden]
        found, number = np.unique(solution.stats.method, return_counts=True)
        unit = peak[:, None]
        records.append(
            {
                "method": name,
                "rows by": ", ".join(f"{n or 'spline, not believed'}: {k}" for n, k in zip(found, number, strict=True)),
                "relative error": float(mj.metrics.nrmse(rows[:, hidden] + error, rows[:, hidden])),
                "rows scaled to maximum 1": float(
                    np.linalg.norm(error / unit) / np.linalg.norm(rows[:, hidden] / unit)
                ),
            }
        )
    return records


def trials(config: Config, matrix: mj.SystemMatrix) -> list[str]:
    """What is said of the networks when the array itself is to be upsampled."""
    said = []
    for task, model in ((Upsample(), None), (Upsample(2, "box"), config.model)):
        if model is not None or task.sampling is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                trial = mj.restore(matrix, task, method=model).stats.trial
            assert trial is not None
            said.append(trial.text())
    return said


def _recover(config: Config, matrix: mj.SystemMatrix) -> list[dict[str, Any]]:
    """2 x recovery of the measured rows after averaging 2 x 2 pixels: 4 x 4 to 8 x 8."""
    rows = np.asarray(matrix.grid.to_image(matrix.rows()))[:, 0]
    unknown = np.zeros(len(rows), np.float32)
    case = Case("array", matrix, unknown, CoarseMeasurement(2), jax.random.key(0), measured=True)
    methods = {name: from_upsampler(load_upsampler(name, 2)) for name in ("bicubic", "consistent-bicubic")}
    if config.model is not None:
        methods["VRF-Net (simulated data)"] = from_upsampler(load_upsampler(config.model, 2))
    records, recovered = evaluate([case], methods)
    strongest = np.argsort(-np.linalg.norm(rows, axis=(1, 2)))[:3]
    shown = {"measured": rows[strongest], "coarse": case.coarse[strongest]}
    shown |= {name: estimates[0][strongest] for name, estimates in recovered.items()}
    save(plot_rows(shown, reference="measured", extent=(-4, 4, -4, 4)), config.run_dir / "rows.png")
    return records


def _report(config: Config, results: dict[str, Any]) -> str:
    recovery = [
        {k: r[k] for k in ("method", "nrmse", "nrmse_scaled", "nrmse_row", "ssim")} for r in results["recovery"]
    ]
    phantoms = [{"phantom": name, **results[name]} for name in ("b1", "b2")]
    lines = [
        "# Measured receive-coil array",
        "",
        f"40 rows of 8 x 8 pixels, measured. {UNKNOWN[0].upper()}{UNKNOWN[1:]}. "
        f"Read back bit for bit: {results['read_back_bit_for_bit']}.",
        "",
        f"## Images (15 x 15, relative lambda {RELATIVE_LAMBDA:g}, {SWEEPS} sweeps, non-negative)",
        "",
        markdown_table(phantoms),
        "",
        "![images](images.png)",
        "",
        "## Recovery of the rows from 4 x 4 pixels",
        "",
        markdown_table(recovery),
        "",
        _verdict(results["recovery"]) if config.model else "No network was given (--model).",
        "",
        "![rows](rows.png)",
        "",
        "## What `mpijax restore --task upsample` does, at hidden pixels",
        "",
        "From every second pixel per axis, 4 x 4; errors at the 48 others.",
        "",
        markdown_table(results["hidden"]),
        "",
        "Asked to upsample the array itself, it says:",
        "",
        *(f"- {text}" for text in results["trials"]),
        "",
    ]
    return "\n".join(lines)


def _verdict(records: list[dict[str, Any]]) -> str:
    errors = {r["method"]: r["nrmse"] for r in records}
    network = next(e for name, e in errors.items() if name.startswith("VRF-Net"))
    comparison = "lower than" if network < errors["bicubic"] else "not lower than"
    return (
        "The network has seen simulated Lissajous rows only: no coil array, no grid this small, no measurement. "
        f"Its error is {comparison} bicubic interpolation's ({network:.3f} against {errors['bicubic']:.3f}; "
        f"data-consistent bicubic {errors['consistent-bicubic']:.3f})."
    )


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    run_main(main, chosen, chosen.run_dir)
