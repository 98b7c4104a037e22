"""Row weights and lambda of Kaczmarz learned by gradient, against the best hand-tuned setting, on phantoms never seen.

Command:  python -m experiments.learned_weights [--preset quick] [--run-dir DIR] ...

A simulated planar Lissajous scanner with colored noise (``experiments.support.phantom_scan``). The calibration (100 mmol(Fe)/L,
averaged) and the phantoms' data carry this noise; the phantoms are measured on a grid three times finer than the matrix's. Rows
from 80 kHz to 0.9 of the bandwidth with an SNR of at least 2 are used. Whitening weights come from 100 background frames.

Hand-tuned: Kaczmarz, non-negative, over weighting (none, row norm, whitening) x sweeps x lambda, and Tikhonov among real images,
cut at zero, over weighting x lambda; lambda on a grid of half decades, then of eighths around the best. Learned: the weight of
every row and lambda by Adam from the best hand-tuned setting, with its sweeps and constraint, fresh data noise in every step.
More sweeps go on improving these images, by hand and learned: so both are also run for up to 1,280 sweeps, without learning anew,
with lambda near theirs, and the best of each are compared.
Hand-tuned settings and the learned step are chosen on the same validation phantoms by mean image nRMSE. Test phantoms are of
the kinds trained on, from other keys; spirals were never trained on and are reported apart.

Expected (quick): nRMSE 0.278 by hand and 0.268 learned at 40 sweeps; 0.267 and 0.265 at the best numbers of sweeps, 1,280 and 160.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mpijax as mj
from experiments.support.learned_report import report_text, write_figures
from experiments.support.phantom_scan import Phantoms, Scan, image_of, phantom_set, simulate_scan
from experiments.support.random_phantoms import KINDS
from experiments.support.run import csv_table, parse, run_main, write_record
from mpijax.core.checks import check_range
from mpijax.core.files import write_text
from mpijax.physics import complex_normal
from mpijax.reconstruction import ImplicitTikhonov, UnrolledKaczmarz

TRAINED, UNSEEN = KINDS[:-1], KINDS[-1:]
COARSE = 10.0 ** np.arange(-5, 1.1, 0.5)
"""Relative lambda tried first; then eighths of decades around the best."""

RESAMPLES = 10_000


@dataclass(frozen=True)
class Config:
    """What is measured, tuned and learned.

    Attributes:
        voxels: along x and y of the matrix.
        peak_snr: largest entry of the calibration over the noise of one frame.
        averages: of calibration and phantom frames.
        sweeps: tried by hand.
        continued: sweeps that the hand-tuned and the learned setting are run for in the end.
        training: phantoms to train on.
        held_out: phantoms of each other set: to choose on, to test on, and of the unseen kind.
        steps: of Adam.
        batch: phantoms in a step.
        learning_rate: at the start; it falls to zero along a cosine.
        seed: of everything.
        run_dir: where results go.
    """

    voxels: int = 21
    peak_snr: float = 300.0
    averages: int = 20
    sweeps: tuple[int, ...] = (2, 3, 5, 10, 20, 40)
    continued: tuple[int, ...] = (80, 160, 320, 640, 1280)
    training: int = 256
    held_out: int = 128
    steps: int = 80
    batch: int = 32
    learning_rate: float = 0.05
    seed: int = 0
    run_dir: Path = Path("runs/learned_weights")


PRESETS = {
    "quick": Config(),
    "full": Config(voxels=29, training=1024, held_out=512, steps=600),
}


def main(config: Config) -> dict[str, Any]:
    """Simulate, tune, learn, compare, report; returns what ``results.json`` holds."""
    check_range("batch", config.batch, 1, config.training, "phantoms")
    started = time.perf_counter()
    key = jax.random.key(config.seed)
    scan = simulate_scan(config.voxels, config.peak_snr, config.averages, jax.random.fold_in(key, 0))
    train = phantom_set(scan, TRAINED, config.training, jax.random.fold_in(key, 1))
    validation, test, unseen = (
        phantom_set(scan, kinds, config.held_out, jax.random.fold_in(key, i))
        for i, kinds in ((2, TRAINED), (3, TRAINED), (4, UNSEEN))
    )
    sets = {"test phantoms": test, f"unseen kind ({UNSEEN[0]})": unseen}
    seconds = {"simulation and phantoms": time.perf_counter() - started}
    table, tuned = tune(scan, validation, config)
    seconds["tuning by hand"] = time.perf_counter() - started - sum(seconds.values())
    learned, records = {}, {}
    for name, layer in tuned.items():
        learned[name], records[name] = learn(layer, scan, train, validation, config, jax.random.fold_in(key, 9))
    seconds["learning"] = time.perf_counter() - started - sum(seconds.values())
    ways = {"hand-tuned": tuned, "learned": learned}
    continued = {way: longer(layers["Kaczmarz"], scan, validation, config) for way, layers in ways.items()}
    seconds["more sweeps"] = time.perf_counter() - started - sum(seconds.values())
    pairs = {name: (tuned[name], learned[name]) for name in tuned}
    pairs["Kaczmarz, best number of sweeps"] = continued["hand-tuned"], continued["learned"]
    results = {
        "rows": len(scan.matrix),
        "voxels": scan.grid.size,
        "tuning": table,
        "comparison": compare(scan, sets, pairs, config.seed),
        "learned": {name: describe(tuned[name], learned[name], scan) for name in tuned},
        "seconds": seconds,
    }
    write_record(config.run_dir, "learned_weights", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.run_dir / "tuning.csv", csv_table(table))
    write_figures(scan, sets, tuned, learned, records, config.run_dir / "figures")
    write_text(config.run_dir / "report.md", report_text(config, results, RESAMPLES))
    print((config.run_dir / "report.md").read_text(encoding="utf-8"))
    return results


def image_errors(layer: Any, matrix: Any, data: Any, images: Any) -> jax.Array:
    """nRMSE of every image (k,)."""
    return mj.metrics.nrmse(image_of(layer, matrix, data), images, axis=-1)


def tune(scan: Scan, validation: Phantoms, config: Config) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The best lambda of every weighting and number of sweeps, and the best layer of both methods."""
    table: list[dict[str, Any]] = []
    best: dict[str, Any] = {}
    for method, sweeps in [("Kaczmarz", s) for s in config.sweeps] + [("Tikhonov", None)]:
        for weighting, weights in scan.weights.items():

            def layer(value: float, weights: Any = weights, sweeps: int | None = sweeps) -> Any:
                if sweeps is None:
                    return ImplicitTikhonov.create(weights, np.float32(value))
                return UnrolledKaczmarz.create(weights, np.float32(value), sweeps=sweeps)

            error, value = _best_lambda(layer, scan, validation)
            table.append(
                {
                    "method": method,
                    "weighting": weighting,
                    "sweeps": "-" if sweeps is None else sweeps,
                    "lambda, relative": value,
                    "nRMSE": error,
                }
            )
            candidate = error, layer(value)
            best[method] = min(best.get(method, candidate), candidate, key=lambda pair: pair[0])
    return table, {method: layer for method, (_, layer) in best.items()}


def longer(layer: UnrolledKaczmarz, scan: Scan, validation: Phantoms, config: Config) -> UnrolledKaczmarz:
    """The same weights with the number of sweeps and the lambda, up to a factor 4/3, that are best on the validation set."""
    shift = np.log(np.float32(4 / 3))
    candidates = [
        replace(layer, sweeps=sweeps, log_regularization=layer.log_regularization + shift * i)
        for sweeps in (layer.sweeps, *config.continued)
        for i in (-1, 0, 1)
    ]
    return min(
        candidates, key=lambda c: float(np.mean(image_errors(c, scan.matrix, validation.data, validation.images)))
    )


def _best_lambda(make: Callable[[float], Any], scan: Scan, phantoms: Phantoms) -> tuple[float, float]:
    tried: dict[float, float] = {}
    for values in (COARSE, None):
        if values is None:
            values = min(tried, key=lambda v: tried[v]) * 10.0 ** (np.arange(-3, 4) / 8)
        for value in values:
            errors = image_errors(make(value), scan.matrix, phantoms.data, phantoms.images)
            tried[float(value)] = float(np.mean(errors))
    value = min(tried, key=lambda v: tried[v])
    return tried[value], value


def learn(
    layer: Any, scan: Scan, train: Phantoms, validation: Phantoms, config: Config, key: jax.Array
) -> tuple[Any, list[dict[str, Any]]]:
    """Adam on weights and lambda; returns the layer of the best validation error and the records of the run."""
    optimizer = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps))
    matrix, noise = jnp.asarray(scan.matrix), jnp.asarray(scan.noise)
    images, clean = jnp.asarray(train.images), jnp.asarray(train.clean)

    @jax.jit
    def step(
        layer: Any, state: Any, key: jax.Array, matrix: jax.Array, images: jax.Array, clean: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        choose, draw = jax.random.split(key)
        chosen = jax.random.choice(choose, len(images), (config.batch,), replace=False)
        noisy = clean[chosen] + complex_normal((config.batch, len(noise)), noise, key=draw)

        def loss(layer: Any) -> jax.Array:
            return jnp.mean(image_errors(layer, matrix, noisy, images[chosen]))

        value, gradient = jax.value_and_grad(loss)(layer)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(layer, updates), state, value

    state, best, records = optimizer.init(layer), (np.inf, layer), []
    for i in range(config.steps + 1):
        if i % 10 == 0 or i == config.steps:
            error = float(np.mean(image_errors(layer, scan.matrix, validation.data, validation.images)))
            best = min(best, (error, layer), key=lambda pair: pair[0])
            records.append({"step": i, "validation": {"nrmse": error}})
        if i < config.steps:
            layer, state, value = step(layer, state, jax.random.fold_in(key, i), matrix, images, clean)
            records.append({"step": i, "loss": float(value)})
    return best[1], records


def compare(
    scan: Scan, sets: dict[str, Phantoms], pairs: dict[str, tuple[Any, Any]], seed: int
) -> list[dict[str, Any]]:
    """Mean figures per set and method, by hand and learned, and their paired difference with its 95 % bootstrap interval."""
    rng, table = np.random.default_rng(seed), []
    for title, phantoms in sets.items():
        chosen = rng.integers(len(phantoms.images), size=(RESAMPLES, len(phantoms.images)))
        for name, layers in pairs.items():
            row: dict[str, Any] = {"phantoms": title, "method": name}
            row["sweeps"] = [getattr(layer, "sweeps", None) for layer in layers]
            images = [image_of(layer, scan.matrix, phantoms.data) for layer in layers]
            for label, metric in (("nRMSE", mj.metrics.nrmse), ("pSNR", mj.metrics.psnr)):
                before, after = (np.asarray(metric(x, phantoms.images, axis=-1), np.float64) for x in images)
                low, high = np.percentile((after - before)[chosen].mean(axis=1), (2.5, 97.5))
                row[label] = {
                    "hand-tuned": float(before.mean()),
                    "learned": float(after.mean()),
                    "difference": float((after - before).mean()),
                    "interval": [float(low), float(high)],
                    "better on": float(np.mean(after < before if label == "nRMSE" else after > before)),
                }
            table.append(row)
    return table


def describe(before: Any, after: Any, scan: Scan) -> dict[str, Any]:
    """What was learned: lambda, and the mean factor on the weights by mixing order and by SNR."""
    factors = np.asarray(after.log_weights - before.log_weights)
    groups = {}
    for name, values, edges in (
        ("order", scan.orders, (0, 8, 16, 32, np.inf)),
        ("SNR", scan.snr, (0, 4, 10, 40, np.inf)),
    ):
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            inside = (values >= low) & (values < high)
            if inside.any():
                label = f"{name} from {low}" + (f" to {high}" if np.isfinite(high) else "")
                groups[label] = {"rows": int(inside.sum()), "factor": float(np.exp(factors[inside].mean()))}
    return {
        "lambda before": float(np.exp(before.log_regularization)),
        "lambda after": float(np.exp(after.log_regularization)),
        "spread of the factors": float(np.exp(factors.std())),
        "groups": groups,
    }


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
