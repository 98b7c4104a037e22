"""Does relaxation explain measured lines better than equilibrium? The rule, declared before the fits were made, and its controls.

A model with relaxation explains lines *better* if both hold: its error on left-out positions is lower, the paired difference over
positions having a 95 % bootstrap interval below zero; and its Bayesian information criterion is lower by at least 6. Equilibrium
is the one of its models with the least criterion, and each family of relaxation is, too. Every line is fitted alone (diameter,
gradient, field-free point, one complex gain per harmonic, and one number of the model); criteria add up over lines.

Controls are lines of a known truth with a residual of the measured one's size and smoothness: a complex Gaussian process along the
line with each row's root mean square and the correlation of neighbors of the measured residual.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

import mpijax as mj
from mpijax.core.typing import Complex, Float

BIC_STEP = 6.0
FAMILIES = ("Neel", "Brown")
DRAWS = 10_000
"""Of the bootstrap."""

STARTS, REFINED = 4, 30
"""Starting points of a fit; most steps of those that begin at the fit of all positions."""

GRADIENT = 0.2
"""First guess along the line [T/m]; across it, minus half of that."""

LINE = ("core_diameter", "gradient", "ffp_x")
BOUNDS = {"core_diameter": (8e-9, 26e-9)}
ANISOTROPY = {"anisotropy_constant": (10.0, 1e4)}
WATER = mj.Brown(hydrodynamic_diameter=40e-9, viscosity=1e-3, collinear=True, effort=(16, 4, 1.0))
"""First guess of Brownian rotation; its viscosity is free and stands for the relaxation time."""


@dataclass(frozen=True)
class LineModel:
    """A particle model with one number of its own.

    Attributes:
        family: equilibrium, Neel or Brown.
        particle: what is added to a particle of 20 nm.
        own: bounds of its own number, by name.
    """

    family: str
    particle: Mapping[str, Any]
    own: Mapping[str, tuple[float, float]]


def _axis(x: float, y: float, dynamics: Any = None) -> dict[str, Any]:
    return {"anisotropy_constant": 3e3, "easy_axis": (x, y, 0.0), "dynamics": dynamics}


MODELS = {
    "Langevin": LineModel("equilibrium", {}, {}),
    "axis along": LineModel("equilibrium", _axis(1, 0), ANISOTROPY),
    "axis across": LineModel("equilibrium", _axis(0, 1), ANISOTROPY),
    "Neel, axis along": LineModel("Neel", _axis(1, 0, mj.Neel()), ANISOTROPY),
    "Neel, axis oblique": LineModel("Neel", _axis(1, 1, mj.Neel()), ANISOTROPY),
    "Brown": LineModel("Brown", {"dynamics": WATER}, {"viscosity": (2e-5, 1e-2)}),
}


@dataclass(frozen=True)
class Explained:
    """What one model makes of one line: BIC, squared error of every left-out position relative to the rows (n,), and the fit."""

    bic: float
    left_out: Float[np.ndarray, " n"]
    fit: mj.Fit


@dataclass(frozen=True)
class Verdict:
    """Is a family better than equilibrium?

    Attributes:
        family: Neel or Brown.
        model, reference: the models of least BIC of the family and of equilibrium.
        bic: difference of the BIC.
        left_out: mean paired difference of the squared error; interval: its 95 % bootstrap interval.
    """

    family: str
    model: str
    reference: str
    bic: float
    left_out: float
    interval: tuple[float, float]

    @property
    def better(self) -> bool:
        """By the rule of this module."""
        return self.bic <= -BIC_STEP and self.interval[1] < 0


def fit_model(line: mj.SystemMatrix, name: str, weights: Any = None, start: mj.Fit | None = None) -> mj.Fit:
    """Fit a model to a line with one coil along it, from the middle of the line or from another fit."""
    model, (middle, half) = MODELS[name], (float(np.asarray(x)[0]) for x in (line.grid.center, line.grid.fov / 2))
    bounds = {**BOUNDS, "gradient": (0.05, 0.8), "ffp_x": (middle - half, middle + half), **model.own}
    options: dict[str, Any] = {"weights": weights, "free": (*LINE, *model.own), "bounds": bounds}
    if start is not None:
        return mj.fit(line, start.scanner, particle=start.particle, starts=1, iterations=REFINED, **options)
    gradient = np.array([GRADIENT, -GRADIENT / 2, -GRADIENT / 2])
    scanner = mj.Scanner.create(gradient, (-GRADIENT * middle, 0, 0), receive_coils=((1, 0, 0),))
    return mj.fit(line, scanner, particle=mj.Particle.create(20e-9, **model.particle), starts=STARTS, **options)


def explain(line: mj.SystemMatrix, name: str) -> Explained:
    """Fit all positions, then predict each from the others."""
    values = np.asarray(line.values)[0]
    rows, n = values.shape
    norms = np.linalg.norm(values, axis=-1)
    found = fit_model(line, name)
    data, unknown = 2 * rows * n, len(found.values) + 2 * rows + 1  # parameters, gains, variance
    bic = data * np.log(found.residual**2 * rows / data) + unknown * np.log(data)
    errors = np.zeros(n)
    for position in range(n):
        weights = np.repeat(1 / norms[None, :, None], n, -1)
        weights[..., position] = 0
        other = fit_model(line, name, weights, found)
        predicted = np.asarray(other.system_matrix(line.grid).values)[0, :, position]
        errors[position] = np.mean(np.abs(predicted - values[:, position]) ** 2 / norms**2)
    return Explained(float(bic), errors, found)


def judge(explained: Mapping[str, Sequence[Explained]], seed: int = 0) -> list[Verdict]:
    """The rule, over the models' explanations of the same lines."""
    bic = {name: sum(one.bic for one in lines) for name, lines in explained.items()}
    errors = {name: np.concatenate([one.left_out for one in lines]) for name, lines in explained.items()}

    def best(family: str) -> str:
        return min((name for name in explained if MODELS[name].family == family), key=lambda name: bic[name])

    reference, verdicts = best("equilibrium"), []
    for family in FAMILIES:
        model = best(family)
        difference = errors[model] - errors[reference]
        draws = np.random.default_rng(seed).integers(len(difference), size=(DRAWS, len(difference)))
        low, high = np.percentile(difference[draws].mean(1), (2.5, 97.5))
        verdicts.append(
            Verdict(
                family,
                model,
                reference,
                bic[model] - bic[reference],
                float(difference.mean()),
                (float(low), float(high)),
            )
        )
    return verdicts


def surrogate(residual: Complex[np.ndarray, "f n"], generator: np.random.Generator) -> Complex[np.ndarray, "f n"]:
    """A residual of the same size and smoothness: each row's root mean square, the same correlation of neighbors."""
    rho = float(
        np.clip(np.sum(residual[:, 1:] * np.conj(residual[:, :-1])).real / np.sum(np.abs(residual) ** 2), 0, 0.95)
    )
    n = residual.shape[1]
    correlation = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    white = generator.normal(size=(2, *residual.shape)) / np.sqrt(2)
    drawn = (white[0] + 1j * white[1]) @ np.linalg.cholesky(correlation).T
    return drawn * np.sqrt(np.mean(np.abs(residual) ** 2, axis=1, keepdims=True))


def control(
    line: mj.SystemMatrix, found: mj.Fit, particle: mj.Particle, generator: np.random.Generator
) -> mj.SystemMatrix:
    """A line of a known particle in the fitted scanner, whose rows are as strong as the measured ones, with a surrogate residual.

    Args:
        line: the measured one.
        found: its fit in equilibrium, of which field and residual are taken.
        particle: the truth.
        generator: of the residual.
    """
    measured = np.asarray(line.values)[0]
    residual = measured - np.asarray(found.system_matrix(line.grid).values)[0]
    indices = np.asarray(line.frequency_indices)
    truth = mj.simulate_system_matrix(found.scanner, found.sequence, particle, line.grid, indices, engine="time")
    rows = np.asarray(truth.values)[0].astype(complex)
    rows *= np.linalg.norm(measured, axis=1, keepdims=True) / np.linalg.norm(rows, axis=1, keepdims=True)
    return replace(line, values=(rows + surrogate(residual, generator))[None], background=None)


TRUTHS = {
    "equilibrium": None,
    "Neel, 22 nm, 4 kJ/m^3 along the line": (22e-9, _axis(1, 0, mj.Neel()) | {"anisotropy_constant": 4e3}),
    "Neel, 22 nm, 6.5 kJ/m^3 along the line": (22e-9, _axis(1, 0, mj.Neel()) | {"anisotropy_constant": 6.5e3}),
    "Brown, 1.5 us": (19e-9, {"dynamics": replace(WATER, viscosity=1.5e-6 / 24.87e-6 * 1e-3)}),
    "Brown, 10 us": (19e-9, {"dynamics": replace(WATER, viscosity=10e-6 / 24.87e-6 * 1e-3)}),
}
"""Truths of the controls: diameter and what is added to the particle; None = the fit in equilibrium."""


def controls(
    line: mj.SystemMatrix, found: mj.Fit, count: int, seed: int = 0, report: Callable[[str], None] = print
) -> dict[str, list[list[Verdict]]]:
    """Verdicts over ``count`` lines of every truth."""
    verdicts: dict[str, list[list[Verdict]]] = {}
    for number, (name, truth) in enumerate(TRUTHS.items()):
        particle = found.particle if truth is None else mj.Particle.create(truth[0], **truth[1])
        verdicts[name] = []
        for i in range(count):
            made = control(line, found, particle, np.random.default_rng((seed, number, i)))
            verdicts[name].append(judge({model: [explain(made, model)] for model in MODELS}))
            told = ", ".join(f"{v.family} {'better' if v.better else 'not'}" for v in verdicts[name][-1])
            report(f"{name}, {i + 1} of {count}: {told}")
    return verdicts


def relaxation(
    lines: Sequence[mj.SystemMatrix], middle: int, count: int, seed: int = 0, report: Callable[[str], None] = print
) -> dict[str, Any]:
    """The verdicts on the middle line and on all lines, what every model made of the middle one, and the controls."""
    explained = {name: [explain(line, name) for line in lines] for name in MODELS}
    on_middle = {name: every[middle : middle + 1] for name, every in explained.items()}
    reference = min(
        (on_middle[name][0] for name in MODELS if MODELS[name].family == "equilibrium"), key=lambda one: one.bic
    )
    made = controls(lines[middle], reference.fit, count, seed, report) if count else {}
    return {
        "models": [
            {
                "model": name,
                "residual": one.fit.residual,
                "bic": one.bic,
                "left_out": float(np.sqrt(one.left_out.sum())),
                "values": one.fit.values,
                "determined": one.fit.determined,
            }
            for name, (one,) in on_middle.items()
        ],
        "middle": [_record(verdict) for verdict in judge(on_middle, seed)],
        "all": [_record(verdict) for verdict in judge(explained, seed)],
        "controls": {
            truth: {family: sum(v.better for one in verdicts for v in one if v.family == family) for family in FAMILIES}
            for truth, verdicts in made.items()
        },
        "count": count,
    }


def _record(verdict: Verdict) -> dict[str, Any]:
    return asdict(verdict) | {"better": verdict.better}


def relaxation_report(results: Mapping[str, Any], markdown_table: Callable[[list[dict[str, Any]]], str]) -> list[str]:
    """The section of the report."""
    base = results["models"][0]
    models = [
        {
            "model": one["model"],
            "residual": one["residual"],
            "BIC - Langevin": one["bic"] - base["bic"],
            "left-out position": one["left_out"],
            "not determined": ", ".join(name for name, known in one["determined"].items() if not known) or "-",
        }
        for one in results["models"]
    ]
    verdicts = [
        {
            "lines": lines,
            "family": v["family"],
            "model against": f"{v['model']} against {v['reference']}",
            "BIC": v["bic"],
            "left-out error squared, difference": f"{v['left_out']:.2g} [{v['interval'][0]:.2g}, {v['interval'][1]:.2g}]",
            "better": "yes" if v["better"] else "no",
        }
        for lines in ("middle", "all")
        for v in results[lines]
    ]
    parts = [
        "## Does relaxation explain the lines better?",
        "",
        markdown_table(models),
        "",
        markdown_table(verdicts),
        "",
    ]
    if results["controls"]:
        rows = [
            {
                "truth": truth,
                **{f"{family} found": f"{found} of {results['count']}" for family, found in families.items()},
            }
            for truth, families in results["controls"].items()
        ]
        parts += [
            "Controls, a residual of the same size and smoothness on lines of a known truth:",
            "",
            markdown_table(rows),
            "",
        ]
    return parts
