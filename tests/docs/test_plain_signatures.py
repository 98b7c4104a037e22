"""Signatures of the reference speak of public arrays alone."""

import jax
import pytest

from mpijax.core.typing import Array, Float

typing = pytest.importorskip("sphinx.util.typing")
nodes = pytest.importorskip("docutils.nodes")
signatures = pytest.importorskip("plain_signatures")


def signature(annotation):
    """As it reaches the reference; ``~`` means that a name is shown without its package."""
    return typing.stringify_annotation(annotation, "smart")


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Float[Array, "n 3"], "Float[Array | ndarray, 'n 3']"),
        (Float[Array, "n 3"] | None, "Float[Array | ndarray, 'n 3'] | None"),
        (Float[jax.Array, "n"], "Float[Array, 'n']"),
        (float | Float[Array, "*b"], "float | Float[Array | ndarray, '*b']"),
    ],
)
def test_an_annotation_reads_as_it_is_written(annotation, text):
    assert signatures.plain(signature(annotation)).replace("~jaxtyping.", "") == text


def test_different_shapes_stay_apart():
    text = "Float[jaxlib._jax.Array, 'a'] | Float[ndarray, 'b']"
    assert signatures.plain(text) == "Float[Array, 'a'] | Float[ndarray, 'b']"


def test_what_has_no_signature_keeps_none():
    assert signatures.rewrite(None, "class", "x", None, None, None, None) == (None, None)


def test_the_type_of_a_property_is_public():
    tree = nodes.paragraph("", "", nodes.inline("", "jaxlib._jax.Array"), nodes.inline("", "[jaxlib._jax.Array, "))
    signatures.rewrite_types(None, tree)
    assert tree.astext() == "Array[Array, "
