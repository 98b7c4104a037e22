"""Tables of :mod:`experiments.restore_identified`."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support.reality_families import BY_NAME
from experiments.support.report import markdown_table

Results = Mapping[str, Sequence[Mapping[str, Any]]]

IN_FIT = ("equilibrium", "transfer", "file", "anisotropy", "neel", "coils", "field")
"""Families whose truth the fit can reach."""


def kind(name: str) -> str:
    """What a figure of a family says."""
    if BY_NAME[name].held_out:
        return "held out"
    return "in the fit's model" if name in IN_FIT else "out of it"


def report(results: Results, task: str, half: str) -> str:
    """The report: a line per family."""
    table, harm = [], []
    for name, matrices in results.items():
        everywhere = [method for method in matrices[0]["psnr"] if all(method in m["psnr"] for m in matrices)]
        psnr = {method: [np.asarray(m["psnr"][method]) for m in matrices] for method in everywhere}
        line = {"family": name, "truth": kind(name), "matrices": len(matrices)}
        line |= {method: f"{np.mean(np.concatenate(each)):.1f}" for method, each in psnr.items()}
        others = ("row by row", "other network", "wiener", "spline", "filtered-spline")
        for other in [method for method in others if method in psnr]:
            mean, low, high = difference(psnr["identified"], psnr[other])
            line[f"- {other}"] = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
        line["methods"] = methods(matrices)
        table.append(line)
        harm.append(harmed(name, matrices, psnr))
    where = "" if task == "denoise" else " at missing voxels"
    return "\n\n".join(
        [
            f"# Restoration with identification: {task}, {half} half",
            f"Mean PSNR [dB]{where} of rows of peak 1, sigma 0.1; differences paired by row, 95 % intervals over matrices.",
            markdown_table(table),
            "Rows that were changed, and those of them that lost more than 1 dB against the classical method:",
            markdown_table(harm),
        ]
    )


def difference(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Mean paired difference [dB] and its interval over matrices."""
    values = np.concatenate([a - b for a, b in zip(first, second, strict=True)])
    groups = np.repeat(np.arange(len(first)), [len(a) for a in first])
    return mj.metrics.bootstrap_mean(values, groups, key=jax.random.key(0))


def methods(matrices: Sequence[Mapping[str, Any]]) -> str:
    """Share of the rows that each method restored."""
    names, counts = np.unique(np.concatenate([np.asarray(m["method"], str) for m in matrices]), return_counts=True)
    return ", ".join(f"{name or 'left'} {count / counts.sum():.0%}" for name, count in zip(names, counts, strict=True))


def harmed(
    name: str, matrices: Sequence[Mapping[str, Any]], psnr: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, Any]:
    """How many rows changed, and how many of those lost more than 1 dB on the classical method."""
    changed = np.concatenate([np.asarray(m["changed"], bool) for m in matrices])
    gain = np.concatenate(psnr["identified"]) - np.concatenate(
        psnr["wiener" if "wiener" in psnr else "filtered-spline"]
    )
    lost = np.count_nonzero(changed & (gain < -1))
    return {
        "family": name,
        "rows": len(changed),
        "changed": f"{changed.mean():.0%}",
        "lost more than 1 dB": f"{lost} ({lost / max(changed.sum(), 1):.1%})",
    }
