"""Places for viewcode's links back from a source: it takes all names of a module to be documented in one package."""

from typing import Any

from docutils import nodes


def add_places(app: Any, doctree: nodes.document, docname: str) -> None:
    """Give the page of a name that stands in another package the place that the link from its source asks for."""
    here = {place for node in doctree.findall(nodes.Element) for place in node["ids"]}
    for entry in filter(None, getattr(app.env, "_viewcode_modules", {}).values()):
        _, _, used, package = entry
        for name, page in used.items():
            place = f"{package}.{name}"
            if page == docname and place not in here:
                next(doctree.findall(nodes.section))["ids"].append(place)


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-resolved", add_places)
    return {"parallel_read_safe": True}
