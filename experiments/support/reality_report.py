"""Tables and figure of the reality gap."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from experiments.support.reality_families import BY_NAME
from experiments.support.reality_images import MATRICES, SOLVERS
from experiments.support.reality_scores import GIVEN, NETWORKS, NOISES, TASKS
from experiments.support.run import markdown_table
from mpijax.viz import save

Results = Mapping[str, Mapping[str, Any]]
"""Family -> "task, noise" or "images" -> method -> figures."""

BROKEN = "v"
"""Mark of a learned method whose mean is below that of the best classical one."""

IMAGES_GIVEN = {
    "true": "true matrix",
    "equilibrium": "particle (size, K), file's geometry",
    "equilibrium, a factor per row": "the same, and the true rows' complex factor",
}


def best_classical(scores: Mapping[str, Any], figure: str = "psnr") -> float:
    """Mean of the best method without training."""
    return max(found[figure][0] for name, found in scores.items() if name not in NETWORKS)


def task_table(results: Results, task: str, noise: str, figure: str = "psnr") -> list[dict[str, Any]]:
    """Methods by families, mean PSNR [dB] (95 % interval over matrices)."""
    key = f"{task}, {noise}"
    families = [name for name in BY_NAME if results.get(name, {}).get(key)]
    methods = list(dict.fromkeys(method for name in families for method in results[name][key]))
    table = []
    for method in sorted(methods, key=lambda m: m in NETWORKS):
        line: dict[str, Any] = {"method": method, "given": GIVEN[method]}
        for name in families:
            found = results[name][key].get(method)
            line[column(name)] = "-" if found is None else _cell(found[figure], method, results[name][key], figure)
        table.append(line)
    return table


def column(name: str) -> str:
    """Title of a family's column: what is in the networks' model, and what no training is to get."""
    family = BY_NAME[name]
    return name + (" (in model)" if family.in_model else " (held out)" if family.held_out else "")


def _cell(value: Sequence[float], method: str, scores: Mapping[str, Any], figure: str) -> str:
    mean, low, high = value
    text = f"{mean:.1f}" if np.isnan(low) else f"{mean:.1f} ({low:.1f} to {high:.1f})"
    return f"{text} {BROKEN}" if method in NETWORKS and mean < best_classical(scores, figure) else text


def image_table(results: Results) -> list[dict[str, Any]]:
    """Solver and matrix by families, mean nRMSE of images."""
    families = [name for name in BY_NAME if "images" in results.get(name, {})]
    return [
        {"solver": solver, "matrix": kind, "given": IMAGES_GIVEN[kind]}
        | {column(name): f"{np.mean(results[name]['images'][f'{solver}, {kind}']['nrmse']):.2f}" for name in families}
        for solver in SOLVERS
        for kind in MATRICES
    ]


def check_table(cards: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is stored, and how far it is from the independent evaluation."""
    table = []
    for name, family in BY_NAME.items():
        if name in cards:
            card = cards[name]
            table.append(
                {
                    "family": column(name),
                    "truth": family.truth,
                    "rows": card["rows"],
                    "twice as fine": card["fine_rows"],
                    "relative deviation": " / ".join(
                        f"{x:.1e}" for x in card.get("check", {}).get("relative_deviation", [])
                    ),
                    "made in [s]": card.get("seconds", "-"),
                }
            )
    return table


def report_text(results: Results, cards: Mapping[str, Any], tuned: Mapping[str, float]) -> str:
    """The report."""
    sections = [
        "# Reality gap",
        "Mean PSNR [dB] over the rows of the test half, 95 % intervals by bootstrap over its matrices; rows of peak 1, sigma 0.1. "
        f'"{BROKEN}" marks a network below the best classical method: there it breaks. Thresholds of the garrote, tuned on the '
        f"development halves: {', '.join(f'{v:g} sigma ({k})' for k, v in tuned.items())}.",
        markdown_table(check_table(cards)),
    ]
    for task in TASKS:
        for noise in NOISES:
            table = task_table(results, task, noise)
            if table:
                sections += [f"## {task}, {noise} noise", markdown_table(table)]
            if table and task == "inpaint":
                missing = task_table(results, task, noise, "psnr_missing")
                sections += [f"### {task}, {noise} noise: the missing voxels alone", markdown_table(missing)]
    table = image_table(results)
    if table and len(table[0]) > 3:
        sections += ["## images: nRMSE", markdown_table(table)]
    return "\n\n".join(sections) + "\n"


def gap_figure(results: Results, path: Path) -> None:
    """By how much the shipped networks beat, or miss, the best classical method, and what an equilibrium matrix costs an image."""
    families = [name for name in BY_NAME if name in results]
    panels: list[tuple[str, dict[str, list[float]]]] = []
    for noise in NOISES:
        lines: dict[str, list[float]] = {}
        for task in TASKS:
            for network in NETWORKS:
                row = [_margin(results[name].get(f"{task}, {noise}", {}), network) for name in families]
                if np.isfinite(row).any():
                    lines[f"{task}: {network}"] = row
        panels.append((f"network minus best classical method [dB], {noise} noise", lines))
    lost = {f"{solver}, {kind.replace('equilibrium', 'eq. matrix')}": [_lost(results[n], solver, kind) for n in families]
            for solver in SOLVERS for kind in MATRICES[1:]}  # fmt: skip
    panels.append(("image with an equilibrium matrix minus image with the true one, PSNR [dB]", lost))
    panels = [(title, lines) for title, lines in panels if lines and np.isfinite(list(lines.values())).any()]
    heights = [len(lines) + 0.8 for _, lines in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(13, 0.42 * sum(heights) + 1.6), height_ratios=heights, layout="constrained", squeeze=False
    )  # fmt: skip
    for axis, (title, lines) in zip(axes[:, 0], panels, strict=True):
        values = np.array(list(lines.values()))
        image = axis.imshow(values, cmap="RdBu", vmin=-6, vmax=6, aspect="auto")
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_yticks(range(len(lines)), list(lines), fontsize=9)
        axis.set_xticks([])
        for (i, j), value in np.ndenumerate(values):
            text, color = ("-", "0.5") if np.isnan(value) else (f"{value:+.1f}", "white" if abs(value) > 4 else "black")
            axis.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
    names = [column(name).replace(" (", "\n(") for name in families]
    axes[-1, 0].set_xticks(range(len(families)), names, fontsize=8, rotation=35, ha="right")
    figure.colorbar(image, ax=list(axes[:, 0]), label="better or worse [dB]; red = breaks", shrink=0.6, pad=0.01)
    save(figure, path)
    plt.close(figure)


def _margin(scores: Mapping[str, Any], network: str) -> float:
    return scores[network]["psnr"][0] - best_classical(scores) if network in scores else np.nan


def _lost(found: Mapping[str, Any], solver: str, kind: str) -> float:
    if "images" not in found:
        return np.nan
    images = found["images"]
    return float(np.mean(images[f"{solver}, {kind}"]["psnr"]) - np.mean(images[f"{solver}, {MATRICES[0]}"]["psnr"]))
