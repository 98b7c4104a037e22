import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.core.interpolation import keys_kernel, keys_matrix


def keys_reference(samples: np.ndarray, n_out: int) -> np.ndarray:
    """Cubic convolution by definition: one output, one tap at a time, on a line that is mirrored explicitly."""
    n = len(samples)
    line = np.concatenate([samples[::-1], samples, samples[::-1]] * 3)
    origin = 4 * n  # a copy of the samples with mirrored copies on both sides
    stretch = max(1.0, n / n_out)
    out = []
    for i in range(n_out):
        center = (i + 0.5) * n / n_out - 0.5
        value = weight = 0.0
        for tap in range(int(center - 2 * stretch) - 2, int(center + 2 * stretch) + 3):
            d = abs(center - tap) / stretch
            if d < 1:
                w = 1.5 * d**3 - 2.5 * d**2 + 1
            elif d < 2:
                w = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
            else:
                w = 0.0
            value, weight = value + w * line[origin + tap], weight + w
        out.append(value / weight)
    return np.array(out)


@pytest.mark.parametrize(("n_in", "n_out"), [(8, 16), (5, 20), (4, 32), (19, 37), (16, 8), (37, 10), (6, 6)])
def test_keys_matrix_equals_the_definition(n_in, n_out):
    samples = np.random.default_rng(0).normal(size=n_in)
    matrix = keys_matrix(n_in, n_out)
    assert matrix.shape == (n_out, n_in) and matrix.dtype == np.float64
    np.testing.assert_allclose(matrix @ samples, keys_reference(samples, n_out), atol=1e-13)


@pytest.mark.parametrize("n_out", [20, 40, 5])
def test_keys_matrix_agrees_with_jax_away_from_the_border(n_out):
    samples = np.random.default_rng(1).normal(size=10)
    with jax.enable_x64(True):
        other = np.asarray(jax.image.resize(jnp.asarray(samples), (n_out,), "cubic"))
    inside = slice(4 * n_out // 10, n_out - 4 * n_out // 10)
    np.testing.assert_allclose((keys_matrix(10, n_out) @ samples)[inside], other[inside], atol=1e-12)


def test_keys_matrix_reproduces_quadratics_inside_and_constants_everywhere():
    matrix, scale = keys_matrix(12, 48), 4
    fine = (np.arange(48) + 0.5) / scale - 0.5
    coarse = np.arange(12.0)
    inside = slice(2 * scale, -2 * scale)
    quadratic = 1.0 - 2.0 * coarse + 0.3 * coarse**2
    np.testing.assert_allclose((matrix @ quadratic)[inside], (1.0 - 2.0 * fine + 0.3 * fine**2)[inside], atol=1e-12)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-14)
    np.testing.assert_allclose(matrix[::-1, ::-1], matrix, atol=1e-14)  # the two ends are alike
    np.testing.assert_array_equal(keys_matrix(7, 7), np.eye(7))


def test_keys_kernel_interpolates_and_is_continuous():
    np.testing.assert_array_equal(keys_kernel(np.arange(-3.0, 4.0)), [0, 0, 0, 1, 0, 0, 0])
    edges = np.array([1.0, 2.0])
    np.testing.assert_allclose(keys_kernel(edges - 1e-9), keys_kernel(edges + 1e-9), atol=1e-8)


def test_sizes_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        keys_matrix(0, 4)
