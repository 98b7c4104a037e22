import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpijax import physics


def test_phase_table_is_exact_for_large_products():
    cos, sin = physics.phase_table(53856, 561)
    j = np.array([53855, 40000, 12345])
    angle = 2 * np.pi * ((j * 561) % 53856) / 53856
    np.testing.assert_allclose(cos[j], np.cos(angle), atol=1e-15)
    np.testing.assert_allclose(cos**2 + sin**2, 1, atol=1e-15)


def test_mixing_orders_2d_are_least_and_reproduce_every_bin():
    orders = physics.mixing_orders((16, 17, 0), 817)
    assert np.array_equal(orders @ [16, 17, 0], np.arange(817))
    for k in (0, 1, 16, 17, 33, 100, 545, 816):
        brute = [(abs(a) + abs(b), -a) for a, b in itertools.product(range(-60, 61), repeat=2) if 16 * a + 17 * b == k]
        least, minus_first = min(brute)
        assert np.abs(orders[k]).sum() == least and orders[k][0] == -minus_first


def test_mixing_orders_rule_of_three_candidates():
    """The closed form for 16/17: lambda = round(33 k/545) + {-1, 0, 1}."""
    for k, got in enumerate(physics.mixing_orders((16, 17, 0), 817)):
        lam = round(33 * k / 545) + np.array([-1, 0, 1])
        assert np.abs(got).sum() == np.min(np.abs(17 * lam - k) + np.abs(k - 16 * lam))


def test_mixing_orders_3d_and_unreached_bins():
    orders = physics.mixing_orders((528, 561, 544), 26929, max_order=6)
    reached = orders[:, 0] != physics.UNREACHED
    assert np.array_equal(orders[reached] @ [528, 561, 544], np.flatnonzero(reached))
    assert np.abs(orders[reached]).sum(1).max() == 6
    assert tuple(orders[528 + 561]) == (1, 1, 0) and tuple(orders[1]) == (1, 1, -2) and not reached[2]


@settings(max_examples=15, deadline=None)
@given(st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(0, 30))
def test_mixing_orders_of_any_two_frequencies_are_least(cycles, k):
    reachable = [abs(a) + abs(b) for a in range(-45, 46) for b in range(-45, 46) if a * cycles[0] + b * cycles[1] == k]
    got = physics.mixing_orders((*cycles, 0), 31)[k]
    if reachable:
        assert np.abs(got).sum() == min(reachable) and got @ [*cycles, 0] == k
    else:
        assert got[0] == physics.UNREACHED


def test_mixing_orders_without_a_drive():
    with pytest.raises(ValueError, match="no axis is active"):
        physics.mixing_orders((0, 0, 0), 10)
