"""Signatures as the code writes them: ``Array`` is JAX's or NumPy's, and of a private module nobody need know."""

import re
from typing import Any

from docutils import nodes

PRIVATE = "jaxlib._jax.Array"
EITHER = re.compile(r"(~?[\w.]+)\[jaxlib\._jax\.Array, ('[^']*')\] \| \1\[ndarray, \2\]")


def plain(signature: str) -> str:
    """A signature whose pairs of array annotations are one, and which names no private module."""
    return EITHER.sub(r"\1[Array | ndarray, \2]", signature).replace(PRIVATE, "Array")


def rewrite(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    return signature and plain(signature), returned and plain(returned)


def rewrite_types(app: Any, doctree: nodes.document) -> None:
    """The types of properties, which are no signatures."""
    for text in list(doctree.findall(nodes.Text)):
        if PRIVATE in text:
            text.parent.replace(text, nodes.Text(text.replace(PRIVATE, "Array")))


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-signature", rewrite)
    app.connect("doctree-read", rewrite_types)
    return {"parallel_read_safe": True}
