"""Draw the packages of mpijax as floors and who imports whom, from the imports themselves.

Command:  python docs/draw_floors.py     (writes docs/figures/floors.png and prints the table of docs/architecture.md)
"""

import ast
from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.patches import FancyArrowPatch  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (
    "core metrics physics system io models reconstruction identification rows datasets training restoration".split()
)
FLOORS += "plans viz view cli".split()


def files(floor: str) -> list[Path]:
    """Python files of a floor: a package, or one module."""
    return sorted((ROOT / "mpijax" / floor).rglob("*.py")) or [ROOT / "mpijax" / f"{floor}.py"]


def imported(path: Path) -> set[str]:
    """Floors that a file imports from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        for name in names:
            head = name.split(".")
            if head[0] == "mpijax" and len(head) > 1:
                found.add(head[1])
    return found & set(FLOORS)


def main() -> None:
    """Count, draw, print."""
    arrows: Counter[tuple[str, str]] = Counter()
    figure, axes = plt.subplots(figsize=(6.4, 6.2))
    for level, floor in enumerate(FLOORS):
        paths = files(floor)
        for path in paths:
            arrows.update((floor, other) for other in imported(path) - {floor})
        lines = sum(len([x for x in p.read_text().splitlines() if x.strip()]) for p in paths)
        word = ast.get_docstring(ast.parse(paths[0].read_text())) or ""
        first = word.splitlines()[0]
        print(f"| `{floor}` | {first} |")
        axes.add_patch(plt.Rectangle((0, level), 4, 0.8, facecolor="#e8eef5", edgecolor="#39597d"))
        axes.text(0.15, level + 0.4, floor, va="center", fontsize=10, weight="bold")
        axes.text(3.85, level + 0.4, f"{len(paths)} files, {lines:,} lines", va="center", ha="right", fontsize=8)
    most = max(arrows.values())
    for (above, below), count in arrows.items():
        start, end = FLOORS.index(above), FLOORS.index(below)
        assert start > end, f"{above} imports {below}, which lies above it"
        axes.add_patch(
            FancyArrowPatch(
                (4, start + 0.4), (4, end + 0.4), connectionstyle=f"arc3,rad={-0.16 - 0.03 * (start - end)}",
                arrowstyle="-|>", mutation_scale=7, linewidth=0.4 + 2.6 * count / most, color="#b5542b",
                alpha=0.25 + 0.6 * np.sqrt(count / most),
            )
        )  # fmt: skip
    axes.set(xlim=(-0.1, 6.0), ylim=(-0.2, len(FLOORS)))
    axes.axis("off")
    axes.set_title("A floor imports from floors below it only; width = importing files", fontsize=9, loc="left")
    figure.savefig(ROOT / "docs" / "figures" / "floors.png", dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
