"""Gradients of an image error by diameter and coil position against finite differences, as docs/differentiability.md says."""

import re
from pathlib import Path

import jax
import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "differentiability.md"


def test_image_error_by_diameter_and_coil_position():
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(compile(snippet, str(PAGE), "exec"), names)  # the page's own code
    error, data, (diameter, center) = jax.jit(names["image_error"]), names["data"], names["assumed"]
    with jax.enable_x64(True):
        step = 1e-4
        by_diameter = (error(diameter + step, center, data) - error(diameter - step, center, data)) / (2 * step)
        np.testing.assert_allclose(names["by_diameter"], by_diameter, rtol=1e-4)
        for axis in range(3):
            shift = step * np.eye(3)[axis]
            difference = (error(diameter, center + shift, data) - error(diameter, center - shift, data)) / (2 * step)
            np.testing.assert_allclose(
                names["by_position"][axis], difference, rtol=1e-4, atol=1e-6 * np.abs(names["by_position"]).max()
            )
        truth = error(24.0, np.array([50.0, 0.0, 0.0]), data)
        assert truth < 0.9 * error(diameter, center, data)  # the right parameters make the better image
        assert abs(by_diameter) > 1e-3 * truth
