"""Pictures of the gallery: the figures that an example makes."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def save_figures(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Write the figures that a block of an example has made, ``figure`` last, as its code does, and say where they are."""
    names = variables["example_globals"]
    seen = names.setdefault("_seen_figures", [])
    made = [value for value in names.values() if isinstance(value, Figure)]
    paths = []
    for figure in sorted(made, key=lambda value: value is names.get("figure")):
        if not any(figure is other for other in seen):
            seen.append(figure)
            paths.append(next(variables["image_path_iterator"]))
            figure.savefig(paths[-1], dpi=150)
    return figure_rst(paths, conf["src_dir"])
