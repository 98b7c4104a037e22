import errno
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.core import checks
from mpijax.core.batching import capped_map, chunk_size
from mpijax.core.checks import (
    check_choice,
    check_count,
    check_finite,
    check_interval,
    check_range,
    check_scalar,
    is_concrete,
)
from mpijax.core.files import atomic_path, write_text
from mpijax.core.pytree import FrozenMapping


@pytest.mark.parametrize("kind", ["numpy", "jax", "on a device"])
def test_values_that_are_not_finite_are_counted_where_they_lie(kind, monkeypatch):
    value = np.array([[1.0, np.nan], [np.inf, 2.0]], np.float32)
    if kind != "numpy":
        value = jnp.asarray(value)
    if kind == "on a device":
        monkeypatch.setattr(checks, "_in_memory", lambda value: False)
    with pytest.raises(ValueError, match="x has 2 of 4 entries that are NaN or infinite"):
        check_finite("x", value)
    check_finite("x", value[:1, :1])
    jax.jit(lambda x: check_finite("x", x))(value)  # unknown while it is traced


def test_chunks_fill_evenly_under_the_cap():
    assert chunk_size(841, 100, 100 * 512) == 421  # two chunks of 421, one voxel of padding
    assert chunk_size(10, 100, 50) == 1 and chunk_size(10, 1, 10**9) == 10


@pytest.mark.parametrize("chunk", [1, 3, 7, 10])
def test_capped_map_equals_the_plain_map_with_gradients(chunk):
    x = jnp.arange(10.0)
    traces = []

    def fn(v):
        traces.append(v.shape)
        return {"square": v**2, "pair": jnp.stack([v, -v], 1)}

    out = capped_map(fn, x, chunk)
    np.testing.assert_array_equal(out["square"], x**2)
    np.testing.assert_array_equal(out["pair"][:, 1], -x)
    assert set(traces) == {(chunk,)}
    np.testing.assert_allclose(jax.grad(lambda v: capped_map(fn, v, chunk)["square"].sum())(x), 2 * x)


def test_checks_pass_tracers_and_name_what_is_wrong():
    @jax.jit
    def traced(x):
        check_finite("x", x)
        check_range("x", x, 0, 1, "m")
        assert not is_concrete({"a": x})
        return x

    traced(jnp.nan)
    with pytest.raises(ValueError, match="1 of 2 entries"):
        check_finite("x", np.array([1, np.inf]))
    with pytest.raises(ValueError, match="allowed is 0 to 1 m"):
        check_range("x", 2.0, 0, 1, "m")
    with pytest.raises(ValueError, match="x = '2 m'; expected a number in m"):
        check_range("x", "2 m", 0, 1, "m")
    with pytest.raises(ValueError, match="x = None; expected a number in m"):
        check_range("x", None, 0, 1, "m")
    with pytest.raises(
        ValueError, match=r"x has 2 of 50 entries outside \(-2 to 47 m\); allowed is at least 0 m"
    ) as error:
        check_range("x", np.arange(-2, 48), 0, np.inf, "m")
    assert len(str(error.value)) < 100
    for count in (0, 2.5, 2.0, "3", None, True, np.True_, np.float32(2), np.array([1, 2])):
        for static in (False, True):
            with pytest.raises(ValueError, match="whole number of at least 1"):
                check_count("x", count, static=static)
    for count in (2, np.int64(2), np.uint8(2)):
        check_count("x", count, static=True)
    check_count("x", np.array(2))
    for static in (False, True):  # a part of the program is known before it is traced
        call = jax.jit(lambda count, static=static: check_count("x", count, static=static) or count)
        if not static:
            call(2)
            continue
        with pytest.raises(ValueError, match="known before tracing"):
            call(2)
    for pair in (0.3, (0.1,), "ab"):
        with pytest.raises(ValueError, match=r"expected \(low, high\)"):
            check_interval("x", pair)
    with pytest.raises(ValueError, match=r"shape \(2,\); expected one number"):
        check_scalar("x", np.ones(2))
    with pytest.raises(ValueError, match="'a', 'b'"):
        check_choice("x", "c", ("a", "b"))


def test_atomic_write_replaces_or_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_text(path, "one")
    assert path.read_text() == "one"
    with pytest.raises(OSError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        raise KeyboardInterrupt
    assert path.read_text() == "one" and os.listdir(path.parent) == ["file.txt"]


def test_frozen_mapping_compares_and_hashes_by_content():
    a, b = FrozenMapping({"x": 1, "y": "z"}), FrozenMapping({"y": "z", "x": 1})
    assert a == b and hash(a) == hash(b) and dict(a) == {"x": 1, "y": "z"} and a != FrozenMapping()
