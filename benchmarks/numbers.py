"""Whether a rebuild moved a number: restored rows, images and losses on fixed keys, written in one checkout, compared in another.

    python -m benchmarks.numbers before.npz                        # in the checkout before
    python -m benchmarks.numbers after.npz --compare before.npz    # in the checkout after; lists every array that differs by a bit

It calls by the names that stay (strings, the command line), so that the same file runs in both; copy it into the older one.
"""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from mpijax import cli

ROWS = ("residual", "trusted", "reason", "sigma", "level", "snr", "error", "spread", "method", "missing", "hidden")


def waves(shape: tuple[int, int, int], rows: int = 24, unit: float = 1e-9) -> mj.SystemMatrix:
    """Smooth rows, the first six of them zero."""
    rng = np.random.default_rng(0)
    values = np.zeros((rows, *shape[::-1]), complex)
    for row in values[6:]:
        weight = rng.normal() + 1j * rng.normal()
        parts = [
            np.cos(rng.uniform(0.3, 1) * 4 * np.linspace(-1, 1, n) + rng.uniform(0, 6)) if n > 1 else [1.0]
            for n in shape[::-1]
        ]
        row[...] = weight * np.einsum("i,j,k->ijk", *parts)
    grid = mj.Grid.create(shape, np.asarray(shape) * 1e-3)
    values = (unit * values.reshape(2, rows // 2, grid.size)).astype(np.complex64)
    return mj.SystemMatrix.create(values, np.arange(rows // 2) * 1e3, grid, n_samples=64, bandwidth=32e3)


def restored() -> dict[str, Any]:
    """Every task by every method, in two and three dimensions."""
    found: dict[str, Any] = {}
    for shape in ((16, 14, 1), (10, 9, 8)):
        matrix = mj.add_noise(waves(shape), 1e-10, key=jax.random.key(1), background_frames=30)
        holes = matrix.grid.size // 2 + np.arange(5)
        requests: list[tuple[str, dict[str, Any]]] = [
            *(("denoise", {"model": name}) for name in (None, "dct-soft", "dct-hard", "dct-garrote", "wiener")),
            ("denoise", {"trust": False}),
            *(
                ("inpaint", {"model": name, "missing": holes})
                for name in (None, "wiener", "biharmonic", "biharmonic-garrote", "compressed-sensing")
            ),
            *(("complete", {"model": name}) for name in (None, "spline", "wiener")),
            ("complete", {"model": "spline", "scale": 3}),
            *(("upsample", {"model": name}) for name in (None, "bicubic", "consistent-bicubic", "spline")),
            ("upsample", {"model": "bicubic", "sampling": "stride"}),
        ]
        for number, (task, options) in enumerate(requests):
            solution = mj.restore(matrix, task, **options)
            name = f"{len(shape) - shape.count(1)}-D {number} {task} {options.get('model')}"
            found[name] = solution.value.values
            found |= {f"{name} {key}": solution.stats[key] for key in ROWS}
            found[f"{name} positions"] = solution.value.grid.positions
            found[f"{name} text"] = solution.value.metadata["/calibration/_restoration"]
    return found


def reconstructed() -> dict[str, Any]:
    """Images of every solver."""
    grid = mj.Grid.create((9, 8, 1), (9e-3, 8e-3, 1e-3))
    scanner = mj.Scanner.create((-3.0, -3.0, 6.0), receive_coils=np.eye(3)[:2])
    sequence = mj.LissajousSequence.create((15e-3, 13.5e-3, 0), n_samples=400)
    bins = np.arange(20, 120)
    matrix = mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(30e-9), grid, bins, sample_volume=4e-9)
    signal = np.asarray(matrix.values) @ (np.arange(72) % 17 == 3)
    rng = np.random.default_rng(0)

    def noise(n: int) -> np.ndarray:
        return 2e-3 * np.abs(signal).max() * (rng.normal(size=(n, 1, 2, 100)) + 1j * rng.normal(size=(n, 1, 2, 100)))

    facts = {"frequency_indices": bins, "n_samples": 400, "bandwidth": matrix.bandwidth}
    data = mj.Measurement.create(signal + noise(3), matrix.frequencies, background=noise(40), **facts)
    key = jax.random.key(7)
    requests: dict[str, dict[str, Any]] = {
        "kaczmarz": {},
        "kaczmarz, 3 sweeps, absolute": {"sweeps": 3, "regularization": 1e-10, "relative": False},
        "kaczmarz, whitened, drift": {"row_weights": "whitening", "drift_components": 2},
        "kaczmarz, randomized": {"row_order": "randomized", "key": key},
        "kaczmarz, unconstrained": {"constraint": None},
        "tikhonov": {"solver": "tikhonov"},
        "tikhonov, cgnr": {"solver": "tikhonov", "method": "cgnr"},
        "tikhonov, low rank": {"solver": "tikhonov", "method": "low_rank", "rank": 30, "key": key},
        "admm": {"solver": "admm", "iterations": 200},
        "admm, shares": {"solver": "admm", "l1": 0.2, "tv": 0.8, "iterations": 100},
        "admm, bounded": {"solver": "admm", "epsilon": "noise", "row_weights": "whitening", "iterations": 200},
        "neural": {"solver": "neural", "key": key, "steps": 20, "width": 16, "depth": 1},
    }
    return {name: mj.reconstruction.reconstruct(matrix, data, **options).value for name, options in requests.items()}


def losses() -> dict[str, Any]:
    """Mean of the first 20 losses, and held-out scores: a denoiser on simulated matrices, an upsampler on a file."""
    from dataclasses import replace

    from experiments import train_restoration

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        smoke = replace(
            train_restoration.PRESETS["smoke"], steps=20, validate_every=1, progress=False, run_dir=run / "a"
        )
        train_restoration.main(smoke)
        mj.io.write_system_matrix(run / "fine.mdf", waves((16, 16, 1), rows=60))
        words = ["train", run / "fine.mdf", "--run-dir", run / "b", "--model", "srcnn", "--steps", "20"]
        sys.argv = ["mpijax", *map(str, words), "--snr-threshold", "0", "--min-frequency", "0"]
        cli.main()
        for name in "ab":
            lines = [json.loads(line) for line in (run / name / "metrics.jsonl").read_text().splitlines()]
            found[f"losses {name}"] = [line["loss"] for line in lines if "loss" in line]
            found[f"validation {name}"] = [v for line in lines for v in line.get("validation", {}).values()]
    return found


def main() -> int:
    """Write the numbers; with ``--compare`` the exit status says whether any differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--compare", type=Path)
    chosen = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            name: np.asarray(value) for part in (restored, reconstructed, losses) for name, value in part().items()
        }
    np.savez(chosen.output, **found)
    print(f"{len(found)} arrays -> {chosen.output}")
    if chosen.compare is None:
        return 0
    before = dict(np.load(chosen.compare))
    moved = [
        name
        for name in sorted(before.keys() | found.keys())
        if name not in before
        or name not in found
        or before[name].shape != found[name].shape
        or before[name].tobytes() != found[name].tobytes()
    ]
    for name in moved:
        print("differs:", name)
    print(f"{len(moved)} of {len(before)} arrays differ by at least one bit")
    return int(bool(moved))


if __name__ == "__main__":
    sys.exit(main())
