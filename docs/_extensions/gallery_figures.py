"""Pictures of the gallery: the figures that an example makes."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def save_figures(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Write the figures that a block of an example has made, ``figure`` last, as its code does, and say where they are."""
    seen = variables["example_globals"].setdefault("_seen_figures", [])
    paths = []
    for _, figure in sorted(variables["example_globals"].items(), key=lambda item: item[0] == "figure"):
        if isinstance(figure, Figure) and not any(figure is other for other in seen):
            seen.append(figure)
            paths.append(next(variables["image_path_iterator"]))
            figure.savefig(paths[-1], dpi=150)
    return figure_rst(paths, conf["src_dir"])
