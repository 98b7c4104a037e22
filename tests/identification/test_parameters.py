"""How named parameters become scanners and particles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.identification.parameters import apply, field_free_point, search_box

GRID = mj.Grid.create((4, 4, 1), (40e-3, 40e-3, 1e-3), (5e-3, 0, 0))
SCANNER = mj.Scanner.create((-1.0, -1.0, 2.0), (0.01, -0.02, 0.0))
FLUID = mj.Particle.create(20e-9, anisotropy_constant=2e3, spatial_modulation=1.0)


def built(values, scanner=SCANNER):
    found, particle = apply({k: jnp.asarray(v) for k, v in values.items()}, scanner, FLUID, field_free_point(scanner))
    return np.asarray(found.gradient), field_free_point(found), particle


def test_gradient_keeps_the_field_free_point():
    gradient, ffp, _ = built({"gradient": 3.0})
    np.testing.assert_allclose(np.diagonal(gradient), [-1.5, -1.5, 3], rtol=1e-6)
    np.testing.assert_allclose(ffp, [0.01, -0.02, 0], atol=1e-7)


def test_field_free_point_moves_alone():
    gradient, ffp, particle = built({"ffp_y": 4e-3, "core_diameter": 25e-9})
    np.testing.assert_array_equal(gradient, SCANNER.gradient)
    np.testing.assert_allclose(ffp, [0.01, 4e-3, 0], atol=1e-8)
    np.testing.assert_allclose(particle.core_diameter, 25e-9, rtol=1e-6)


def test_diagonal_has_no_trace_and_rotation_turns_it():
    gradient, _, _ = built({"gradient_x": -0.7, "gradient_y": -1.2})
    np.testing.assert_allclose(gradient, np.diag([-0.7, -1.2, 1.9]), atol=1e-6)
    turned, _, _ = built({"gradient_x": -0.7, "gradient_y": -1.2, "angle": np.pi / 2})
    np.testing.assert_allclose(turned, np.diag([-1.2, -0.7, 1.9]), atol=1e-6)


def test_field_free_line_has_a_point():
    line = mj.Scanner.create((1.0, 0.0, -1.0), (0.01, 0, 0))
    np.testing.assert_allclose(field_free_point(line), [-0.01, 0, 0])


def test_box_and_back():
    free = ("core_diameter", "anisotropy_constant", "gradient_x", "ffp", "angle")
    box = search_box(free, {"ffp_x": (0.0, 0.02)}, SCANNER, FLUID, GRID)
    assert box.names == ("core_diameter", "anisotropy_constant", "gradient_x", "ffp_x", "ffp_y", "angle")
    np.testing.assert_allclose(box.start, [20e-9, 2e3, -1, 0.01, -0.02, 0], rtol=1e-12)
    unit = box.to_unit(box.start)
    assert np.all((unit >= 0) & (unit <= 1)) and unit[3] == pytest.approx(0.5) and unit[4] == pytest.approx(0)
    np.testing.assert_allclose(box.to_values(jnp.asarray(unit)), box.start, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose([box.low[2], box.high[2]], [-4, -0.25])
    with jax.enable_x64(True):
        values = np.asarray(box.to_values(jnp.full(6, 0.4)))
        higher = np.asarray(box.to_values(jnp.full(6, 0.4 + 1e-6)))
    np.testing.assert_allclose((higher - values) / 1e-6, box.slope(values), rtol=1e-4)


@pytest.mark.parametrize(
    ("free", "bounds", "match"),
    [
        (("diameter",), None, "unknown free parameters"),
        ("core_diameter", None, "sequence of names"),
        ((), None, "at least one"),
        (("ffp", "ffp_x"), None, "none twice"),
        (("gradient", "gradient_x"), None, "choose one"),
        (("core_diameter",), {"core_diameter": (30e-9, 10e-9)}, "low < high"),
        (("core_diameter",), {"core_diameter": (0.0, 30e-9)}, "must be positive"),
        (("core_diameter",), {"core_diameter": (25e-9, 30e-9)}, "outside of its bounds"),
        (("core_diameter",), {"gradient": (1.0, 2.0)}, "not free"),
        (("size_spread",), None, "first guess, size_spread"),
        (("core_diameter", "anisotropy_constant"), {"core_diameter": (10e-9, 60e-9)}, "reduced anisotropy"),
    ],
)
def test_bad_requests(free, bounds, match):
    with pytest.raises(ValueError, match=match):
        search_box(free, bounds, SCANNER, FLUID, GRID)


def test_what_the_model_does_not_have():
    with pytest.raises(ValueError, match="isotropic"):
        search_box(("anisotropy_constant",), None, SCANNER, mj.Particle.create(), GRID)
    plane = mj.Particle.create(20e-9, anisotropy_constant=-2e3, easy_axis=(1, 0, 0))
    with pytest.raises(ValueError, match="easy plane"):
        search_box(("core_diameter",), None, SCANNER, plane, GRID)
    with pytest.raises(ValueError, match="no field-free point"):
        search_box(("ffp",), None, mj.Scanner.create((0.0, 0, 0), (1e-3, 0, 0)), FLUID, GRID)
