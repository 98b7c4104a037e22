"""Masks in every form mean the same entries, and what is no mask is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpijax.core.frames import finite_frames, frame_std
from mpijax.core.masks import as_mask

TYPES = (bool, np.uint8, np.int8, np.int64, np.uint64, ">i4", np.float32, np.float64, ">f8", np.float16)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_form_of_a_mask_marks_the_same(data):
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * 3).filter(lambda s: np.prod(s) > 2))
    n = int(np.prod(shape))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    kind = data.draw(st.sampled_from(TYPES))
    flat = mask.astype(kind)
    forms = [flat, flat.tolist(), flat.reshape(shape), flat.reshape([k for k in shape if k > 1]), np.flatnonzero(mask)]
    forms += [np.random.default_rng(0).permutation(np.flatnonzero(mask)).astype(float), np.flatnonzero(mask).tolist()]
    for form in forms:
        np.testing.assert_array_equal(as_mask("missing", form, shape), mask)
    np.testing.assert_array_equal(as_mask("missing", flat, n, indices=False), mask)


@pytest.mark.parametrize(
    "value, message",
    [
        ([0.5, 1], "holds 0.5"),
        ([-1], "holds -1; .* 0 to 23"),
        ([3, 24], "holds 24"),
        ([3, 5, 3], "names 3 more than once"),
        ([np.nan], "holds nan"),
        ([1.0, np.inf], "holds inf"),
        (["3"], "type <U1"),
        ("auto", "type <U4"),
        (None, "type object"),
        ([1j], "type complex128"),
        (np.ones(23, bool), r"shape \(23,\)"),
        (np.ones((4, 3, 2), int), r"shape \(4, 3, 2\)"),
        (np.ones((6, 4), bool), r"shape \(6, 4\); .*\(24,\) or \(2, 3, 4\)"),
        (np.full((2, 3, 4), 255, np.uint8), "values other than 0 and 1, 255"),
        (np.r_[np.zeros(12), np.full(12, 255)].astype(np.uint8), "holds 255"),
        (np.r_[np.zeros(12), np.full(12, 2)], "names 0, 2 more than once"),
        (np.r_[np.zeros(23), np.nan], "holds nan"),
        (5, r"shape \(\)"),
        (True, r"shape \(\)"),
        ([[1], [2, 3]], "no array"),
    ],
)
def test_what_is_no_mask_is_refused(value, message):
    with pytest.raises(ValueError, match=f"missing .*{message}"):
        as_mask("missing", value, (2, 3, 4))


def test_numbers_are_refused_where_only_a_mask_is_taken():
    with pytest.raises(
        ValueError,
        match=r"known has shape \(2,\); expected a mask of shape \(24,\) or \(2, 3, 4\), True or 1 = marked\.",
    ):
        as_mask("known", [1, 5], (2, 3, 4), indices=False)
    assert not as_mask("missing", [], 3).any()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), exponent=st.integers(-30, 30))
def test_noise_of_frames_is_that_of_the_finite_ones(seed, exponent):
    rng = np.random.default_rng(seed)
    frames = (rng.normal(size=(6, 2, 5)) + 1j * rng.normal(size=(6, 2, 5))) * 10.0**exponent
    frames = frames.astype(np.complex64)
    lost = rng.random(frames.shape) < 0.4
    spoiled = np.where(lost, np.complex64(complex(np.inf, np.nan)), frames)
    found, count = frame_std(spoiled), finite_frames(spoiled)
    for place in np.ndindex(2, 5):
        kept = frames[(slice(None), *place)][~lost[(slice(None), *place)]].astype(np.complex128)
        assert count[place] == len(kept)
        assert np.isnan(found[place]) if len(kept) < 2 else found[place] == pytest.approx(np.std(kept, ddof=1))
