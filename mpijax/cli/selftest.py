"""A self-test of seconds: a simulated row, an image and a restored row, against values that ship (``data/selftest.json``).

``python -m tests.reference.selftest`` computes the values in double precision: rows and image by plain loops, the restored row by
the same network. Nothing here is drawn at random.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import mpijax as mj
from mpijax.core.assets import asset_path
from mpijax.restoration.choose import find_method

GOLDEN = "selftest.json"
SHAPE, FOV = (8, 8, 1), (24e-3, 24e-3, 1e-3)
GRADIENT, AMPLITUDE, DIAMETER = (-1.0, -1.0, 2.0), (12e-3, 12e-3, 0.0), 25e-9
BINS = tuple(range(40, 240, 5))
CONCENTRATION = 100.0
"""Of the calibration sample and of the phantom [mmol(Fe)/L]."""
FILLED = (19, 44)
"""Voxels of the phantom."""
LAMBDA, SWEEPS = 1e-2, 10
NOISE = 0.05
"""Of the row to restore, over its largest modulus, that the network is told."""

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Check:
    """A part of the package that is tried.

    Attributes:
        name: what is computed, the key of its golden values.
        allowed: largest relative distance from them: above what single precision and an accelerator's short products leave, far
            below what anything wrong would give.
        compute: golden values -> the same anew.
    """

    name: str
    allowed: float
    compute: Callable[[Values], Any]


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        name: of the check.
        passed: whether the distance is allowed.
        says: distance and time, or what went wrong.
    """

    name: str
    passed: bool
    says: str


def calibration() -> mj.SystemMatrix:
    """The matrix that is simulated: 8 x 8 voxels, 40 frequencies, x and y channel [V]."""
    scanner, sequence = mj.Scanner.create(GRADIENT), mj.LissajousSequence.create(AMPLITUDE)
    particle, grid = mj.Particle.create(DIAMETER), mj.Grid.create(SHAPE, FOV)
    matrix = mj.simulate_system_matrix(scanner, sequence, particle, grid, BINS, concentration=CONCENTRATION)
    return matrix.select(channels=[0, 1])


def simulated(golden: Values) -> Any:
    """The row of the x channel at the lowest frequency (64,) [V]."""
    return calibration().values[0, 0]


def image(golden: Values) -> Any:
    """Kaczmarz' image of the phantom (64,) [mmol(Fe)/L]."""
    matrix = calibration()
    phantom = np.zeros(matrix.grid.size)
    phantom[list(FILLED)] = CONCENTRATION
    solver = mj.reconstruction.Kaczmarz(regularization=LAMBDA, sweeps=SWEEPS)
    return mj.reconstruction.reconstruct(matrix, matrix.measure(phantom), solver=solver).value.ravel()


def restored(golden: Values) -> Any:
    """The golden row, in units of its largest modulus, as the denoiser that ships returns it (64,)."""
    method, _ = find_method(mj.Denoise(), 2)
    return restored_by(method.apply, golden["simulated row"])


def restored_by(apply: Callable[..., Any], row: np.ndarray) -> np.ndarray:
    """A row (64,) as a method returns it, in units of its largest modulus."""
    plane = (row / np.abs(row).max()).reshape(1, *SHAPE[1::-1])
    everywhere = np.ones(plane.shape[1:], bool)
    return np.asarray(apply(plane, everywhere, everywhere, np.full(1, NOISE, plane.real.dtype))).ravel()


CHECKS = (
    Check("simulated row", 1e-4, simulated),
    Check("image", 1e-3, image),
    Check("restored row", 1e-2, restored),
)


def golden_values() -> Values:
    """The values that ship, complex ones (n,) and the image (n,).

    Raises:
        FileNotFoundError: they are missing.
    """
    stored = json.loads(asset_path(GOLDEN).read_text(encoding="utf-8"))["values"]
    return {name: np.asarray(parts["re"]) + 1j * np.asarray(parts.get("im", 0.0)) for name, parts in stored.items()}


def run() -> Iterator[Outcome]:
    """One outcome after the other; a check that raises has failed, whatever it raised."""
    for check in CHECKS:
        start = time.perf_counter()
        try:
            golden = golden_values()
            distance = relative_distance(check.compute(golden), golden[check.name])
        except Exception as error:  # also what a broken installation raises
            yield Outcome(check.name, False, f"{type(error).__name__}: {error}")
            continue
        said = (
            f"{distance:.0e} from the golden values, {check.allowed:.0e} allowed, {time.perf_counter() - start:.1f} s"
        )
        yield Outcome(check.name, bool(distance <= check.allowed), said)


def relative_distance(found: Any, golden: np.ndarray) -> float:
    """|found - golden| / |golden|, in double precision."""
    return float(np.linalg.norm(np.asarray(found, np.complex128) - golden) / np.linalg.norm(golden))
