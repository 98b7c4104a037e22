"""Formulas in LaTeX as MathML, which browsers draw themselves: a page fetches nothing and runs no script for them."""

import re
import unicodedata
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml import exceptions
from latex2mathml.converter import convert
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
ALPHABETS = {
    "bold": "MATHEMATICAL BOLD",
    "bold-italic": "MATHEMATICAL BOLD ITALIC",
    "sans-serif": "MATHEMATICAL SANS-SERIF",
}
"""Style of letters that browsers no longer know -> what its letters are called in Unicode."""

BARS = ("|", "\N{DOUBLE VERTICAL LINE}")
PARTS = {"mfrac": 2, "mroot": 2, "mover": 2, "munder": 2, "msub": 2, "msup": 2, "msubsup": 3, "munderover": 3}
FAULTS = (
    ElementTree.ParseError,
    *(fault for fault in vars(exceptions).values() if isinstance(fault, type) and issubclass(fault, Exception)),
)


def mathml(latex: str, display: str = "inline") -> str:
    """A formula as an element of a page; ``display`` is "inline" or "block".

    Raises:
        ValueError: of what the converter refuses, and of what it would pass on although it does not understand it.
    """
    if latex.replace(r"\{", "").count("{") != latex.replace(r"\}", "").count("}"):
        raise ValueError("braces do not match")
    try:
        root = ElementTree.fromstring(convert(latex.strip(), xmlns="", display=display))
    except FAULTS as error:
        raise ValueError(f"no formula ({type(error).__name__})") from error
    for element in root.iter():
        _look(element)
    return ElementTree.tostring(root, encoding="unicode")


def _look(element: ElementTree.Element) -> None:
    """Refuse an element that means nothing; write what browsers do not know as what they know."""
    text = element.text or ""
    if "\\" in text:
        raise ValueError(f"unknown command {text}")
    if element.tag == "mo" and not text and not len(element):
        raise ValueError("an operator without a name")
    if len(element) != PARTS.get(element.tag, len(element)):
        raise ValueError("a fraction, root, index or accent lacks a part")
    if alphabet := ALPHABETS.get(element.attrib.get("mathvariant", "")):
        element.text = "".join(_styled(letter, alphabet) for letter in text)
        del element.attrib["mathvariant"]
    if side := element.attrib.pop("columnalign", ""):
        element.set("style", f"text-align: {side}")
    if element.tag == "mi" and len(text) > 1 and text.isalpha():  # a function, set off from its argument
        element.tag, element.attrib = "mo", {"lspace": "0.167em", "rspace": "0.167em"}
    if text in BARS and "form" not in element.attrib:
        element.attrib |= {"lspace": "0", "rspace": "0"}


def _styled(letter: str, style: str) -> str:
    """A letter or digit of another alphabet, GREEK SMALL LETTER XI as MATHEMATICAL BOLD SMALL XI."""
    name = re.sub(r"^(LATIN|GREEK) | LETTER\b", "", unicodedata.name(letter))
    try:
        return unicodedata.lookup(f"{style} {name}")
    except KeyError:
        raise ValueError(f"{letter} does not exist as {style}") from None


def _drawn(node: nodes.Node, display: str) -> str:
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        LOGGER.warning("formula %r: %s", node.astext(), error, location=node)
        return ""


def visit_inline(self: Any, node: nodes.math) -> None:
    self.body.append(_drawn(node, "inline"))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    opened = self.starttag(node, "div", CLASS="formula")
    self.body.append(f"{opened}{_drawn(node, 'block')}</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True}
