"""Arrays of other libraries become leaves without a copy, and leaves become theirs."""

import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.system.leaves import as_array

GRID = mj.Grid.create((3, 2, 1), (3e-3, 2e-3, 1e-3))


class Foreign:
    """An array that can do nothing but DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_memory_of_the_host_is_shared():
    array = np.arange(12.0).reshape(3, 4)
    taken = as_array(Foreign(array))
    assert isinstance(taken, np.ndarray) and np.shares_memory(taken, array) and taken.dtype == np.float64
    assert as_array(array) is array and as_array("text") == "text" and as_array(None) is None
    on_device = jnp.ones(3)
    assert as_array(on_device) is on_device


def test_a_container_of_foreign_arrays():
    values = np.random.default_rng(0).normal(size=(2, 5, 6, 2)).view(complex)[..., 0]
    made = mj.SystemMatrix.create(
        Foreign(values), Foreign(1e3 * np.arange(5.0)), GRID, row_mask=Foreign(np.eye(2, 5) > 0)
    )
    assert np.shares_memory(made.values, values) and made.rows().shape == (2, 6)
    data = mj.Measurement.create(Foreign(values[None, ..., 0].reshape(1, 1, 2, 5)), Foreign(1e3 * np.arange(5.0)))
    assert data.values.shape == (1, 1, 2, 5)
    with pytest.raises(ValueError, match="float64"):
        mj.SystemMatrix.create(Foreign(values.real.copy()), 1e3 * np.arange(5.0), GRID)


def test_torch_comes_in_and_goes_out():
    torch = pytest.importorskip("torch")
    values = torch.randn(2, 5, 6, dtype=torch.complex64)
    made = mj.SystemMatrix.create(values, torch.arange(5.0) * 1e3, GRID)
    values[0, 0, 0] = 7
    assert made.values[0, 0, 0] == 7
    back = torch.from_dlpack(made @ np.ones(6))
    torch.testing.assert_close(back, values.sum(-1).reshape(-1))
    assert torch.from_dlpack(made.values).data_ptr() == values.data_ptr()


def test_arrays_on_a_device_stay_there(monkeypatch):
    class OnDevice(Foreign):
        def __dlpack_device__(self):
            return 2, 0  # CUDA

    there = OnDevice(np.arange(3.0))
    monkeypatch.setattr("jax.numpy.from_dlpack", lambda value: ("taken by JAX", value))
    assert as_array(there) == ("taken by JAX", there)
