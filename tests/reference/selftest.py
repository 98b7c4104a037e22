"""Golden values of ``mpijax doctor`` in double precision: ``python -m tests.reference.selftest`` writes data/selftest.json.

Rows are computed by a loop over positions and the image by a loop over rows; the restored row comes from the network itself.
"""

import json
from pathlib import Path
from unittest.mock import patch

import jax
import numpy as np

from mpijax.cli import selftest
from mpijax.core.assets import asset_path
from mpijax.restoration.card import from_card
from mpijax.restoration.network import network_rows
from mpijax.training.weights import load_weights, read_card
from tests.reference.kaczmarz import kaczmarz
from tests.reference.physics import MU0, moment_spectrum

TARGET = Path(__file__).resolve().parents[2] / "data" / selftest.GOLDEN
FREQUENCIES = 2.5e6 / np.array([102, 96, 99])
PERIOD, SAMPLES = 102 * 96 / 6 / 2.5e6, 1632
MAGNETIZATION, MOLAR_MASS, DENSITY = 474e3, 0.23153, 5180.0


def positions():
    """Centers of the voxels (n, 3), x fastest."""
    x, y, z = ((np.arange(n) + 0.5) * fov / n - fov / 2 for n, fov in zip(selftest.SHAPE, selftest.FOV, strict=True))
    return np.stack(np.meshgrid(x, y, z, indexing="ij"), -1).reshape(-1, 3, order="F")


def rows():
    """The matrix (2, f, n) [V] of the x and the y channel: homogeneous coils of 1/m, plain rfft."""
    gradient, amplitude = np.diag(selftest.GRADIENT), np.array(selftest.AMPLITUDE)
    moments = moment_spectrum(
        positions(), gradient, np.zeros(3), amplitude, FREQUENCIES, np.full(3, np.pi / 2), PERIOD, SAMPLES, selftest.DIAMETER
    )[:2, list(selftest.BINS)]  # fmt: skip
    iron = selftest.CONCENTRATION * MOLAR_MASS / (3 * DENSITY) * np.prod(np.array(selftest.FOV) / selftest.SHAPE)
    omega = 2j * np.pi * np.array(selftest.BINS) / PERIOD
    return -MU0 * iron * MAGNETIZATION * SAMPLES * omega[:, None] * moments


def image(matrix):
    """The phantom's image (n,) [mmol(Fe)/L]."""
    matrix = matrix.reshape(-1, matrix.shape[-1])
    phantom = np.zeros(matrix.shape[-1])
    phantom[list(selftest.FILLED)] = 1.0
    absolute = selftest.LAMBDA * np.sum(np.abs(matrix) ** 2) / matrix.shape[-1]
    found, _ = kaczmarz(matrix, matrix @ phantom, absolute, sweeps=selftest.SWEEPS, constraint="nonnegative")
    return found.real * selftest.CONCENTRATION


def restored(row):
    """The row as the denoiser restores it in double precision."""
    path = asset_path("weights/denoise_2d.npz")
    with jax.enable_x64(True), patch.object(jax.numpy, "float32", np.float64):  # the network asks for single precision
        config, weights = load_weights(path)
        weights = jax.tree.map(lambda leaf: leaf.astype(np.float64), weights)
        found = selftest.restored_by(network_rows(config, weights, from_card(path, read_card(path))), row)
    assert found.dtype == np.complex128, found.dtype
    return found


def values():
    """All golden values by name."""
    matrix = rows()
    return {"simulated row": matrix[0, 0], "image": image(matrix), "restored row": restored(matrix[0, 0])}


def plain(array):
    """Nine digits of each number, real and imaginary parts apart."""
    parts = {"re": array.real} | ({"im": array.imag} if np.iscomplexobj(array) else {})
    return {name: [float(f"{x:.9g}") for x in part] for name, part in parts.items()}


if __name__ == "__main__":
    golden = {
        "about": "golden values of mpijax doctor; made by: python -m tests.reference.selftest",
        "values": {name: plain(array) for name, array in values().items()},
    }
    TARGET.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"wrote {TARGET}")
