"""The layouts, orders and gaps of calibration files."""

import h5py
import numpy as np
import pytest

from mpijax import io
from tests.io.mdf_files import BANDWIDTH, K, V, calibration, random_complex
from tests.reference import mdf as reference

SIZE = (3, 2, 2)
N = 12


def read(path, **arguments):
    return io.read_system_matrix(path, **arguments)


def at(image_path, size=SIZE):
    """Voxel number, x fastest, of each grid index."""
    return [x + size[0] * (y + size[1] * z) for x, y, z in image_path]


def test_plain_file(tmp_path):
    data = random_complex(0, 1, 2, K, N)
    matrix = read(calibration(tmp_path / "a.mdf", data))
    assert matrix.values.dtype == np.complex64
    np.testing.assert_array_equal(matrix.values, data[0])
    np.testing.assert_allclose(matrix.frequencies, np.arange(K) * 2 * BANDWIDTH / V)
    # x is the fastest axis: voxel (1, 0, 1)
    assert matrix.images()[0, 2, 1, 0, 1] == data[0, 0, 2, 1 + 3 * 2]
    np.testing.assert_allclose(matrix.grid.positions[0], [0.001 - 0.01, -0.005, -0.002 - 0.0025])
    assert matrix.sample_concentration == 100.0 and np.isclose(matrix.sample_volume, 4e-9)
    assert matrix.sequence.cycles == (1, 2, 0) and matrix.sequence.active == (True, True, False)
    assert matrix.background is None and matrix.snr is None


@pytest.mark.parametrize("order", ["zyx", "yxz", "zxy"])
def test_other_orders_become_x_fastest(tmp_path, order):
    stored = random_complex(0, 1, 1, K, N)
    matrix = read(calibration(tmp_path / "a.mdf", stored, calibration__order=order, size=SIZE))
    expected = np.empty_like(stored[0])
    expected[..., at(reference.stored_path(SIZE, order))] = stored[0]
    np.testing.assert_array_equal(matrix.values, expected)


def test_unsorted_file_is_sorted_and_a_sorted_one_is_not_sorted_again(tmp_path):
    truth, empty = random_complex(0, 2, K, N), random_complex(1, 2, K, 3)
    places = [0, 7, 14]  # of the background among 15 frames
    acquired = np.insert(truth, [0, 6, 12], empty, axis=-1)
    unsorted = read(calibration(tmp_path / "a.mdf", acquired[None], places))
    permutation = [i for i in range(15) if i not in places] + places
    shuffled = calibration(
        tmp_path / "b.mdf",
        np.concatenate([truth, empty], -1)[None],
        [12, 13, 14],
        measurement__isFramePermutation=np.int8(1),
        measurement__framePermutation=np.array(permutation) + 1,
    )
    for matrix in (unsorted, read(shuffled)):
        np.testing.assert_array_equal(matrix.values, truth)
        np.testing.assert_array_equal(matrix.background, empty.transpose(2, 0, 1))
    # the acquisition index is known in both, so both interpolate alike
    expected = truth - np.stack(
        [[reference.interpolated_background(permutation[:12], places, e) for e in c] for c in empty]
    )
    for path in ("a.mdf", "b.mdf"):
        np.testing.assert_allclose(read(tmp_path / path, background="interpolate").values, expected, atol=1e-6)


@pytest.mark.parametrize("size", [(3, 2, 2), (2, 3, 4), (4, 3, 1)])
def test_meander_is_undone_unless_the_file_is_sorted(tmp_path, size):
    n = int(np.prod(size))
    truth = random_complex(0, 1, K, n)
    measured = truth[..., at(reference.meandering_path(size), size)]
    flag = {"calibration__isMeanderingGrid": np.int8(1)}
    raw = calibration(tmp_path / "a.mdf", measured[None], size=size, **flag)
    np.testing.assert_array_equal(read(raw).values, truth)
    permutation = {"measurement__isFramePermutation": np.int8(1), "measurement__framePermutation": np.arange(n) + 1}
    done = calibration(tmp_path / "b.mdf", truth[None], size=size, **flag, **permutation)
    np.testing.assert_array_equal(read(done).values, truth)


def test_frames_first_and_time_domain_hold_the_same_matrix(tmp_path):
    signal = np.random.default_rng(0).normal(size=(N, 1, 2, V)).astype(np.float32)
    spectrum = np.fft.rfft(signal)
    expected = np.moveaxis(spectrum[:, 0], 0, -1)
    layouts = {
        "time": (signal, 0, 0),
        "time, frames fast": (np.moveaxis(signal, 0, -1), 0, 1),
        "spectra": (spectrum.astype(np.complex64), 1, 0),
        "spectra, frames fast": (np.moveaxis(spectrum, 0, -1).astype(np.complex64), 1, 1),
    }
    for name, (data, transformed, fast) in layouts.items():
        path = calibration(
            tmp_path / "a.mdf",
            data,
            measurement__isFourierTransformed=np.int8(transformed),
            measurement__isFastFrameAxis=np.int8(fast),
        )
        matrix = read(path)
        np.testing.assert_allclose(matrix.values, expected, atol=2e-6, err_msg=name)
        part = read(path, min_frequency=2e5, channels=[1])
        np.testing.assert_allclose(part.values, expected[1:, 2:], atol=2e-6, err_msg=name)
        assert part.frequency_indices[0] == 2


def test_raw_integers_and_the_offset_of_the_converter(tmp_path):
    counts = np.random.default_rng(0).integers(-3000, 3000, (N, 1, 2, V), np.int16)
    factors = np.array([[2e-3, 0.5], [3e-3, -0.25]])
    path = calibration(
        tmp_path / "a.mdf",
        counts,
        measurement__isFourierTransformed=np.int8(0),
        measurement__isFastFrameAxis=np.int8(0),
        acquisition__receiver__dataConversionFactor=factors,
    )
    physical = counts * factors[:, 0, None] + factors[:, 1, None]
    matrix = read(path)
    assert matrix.values.dtype == np.complex64
    np.testing.assert_allclose(matrix.values, np.moveaxis(np.fft.rfft(physical)[:, 0], 0, -1), rtol=1e-4, atol=1e-4)
    # a spectrum gets the offset in its DC bin alone
    spectrum = random_complex(3, N, 1, 2, K)
    path = calibration(
        tmp_path / "b.mdf",
        spectrum,
        measurement__isFastFrameAxis=np.int8(0),
        acquisition__receiver__dataConversionFactor=factors,
    )
    expected = spectrum[:, 0] * factors[:, 0, None]
    expected[..., 0] += factors[:, 1] * V
    np.testing.assert_allclose(read(path).values, np.moveaxis(expected, 0, -1), rtol=1e-5, atol=1e-6)


def test_integer_compounds(tmp_path):
    data = np.zeros((1, 2, K, N), [("r", np.int16), ("i", np.int16)])
    data["r"], data["i"] = np.random.default_rng(0).integers(-9, 9, (2, *data.shape))
    matrix = read(
        calibration(tmp_path / "a.mdf", data, acquisition__receiver__dataConversionFactor=np.array([[2.0, 0.0]] * 2))
    )
    assert matrix.values.dtype == np.complex64
    np.testing.assert_array_equal(matrix.values, 2 * (data["r"][0] + 1j * data["i"][0]))


def test_processed_calibration_is_not_converted_twice(tmp_path):
    data = random_complex(0, 1, 2, K, N)
    path = calibration(tmp_path / "a.mdf", data, acquisition__receiver__dataConversionFactor=np.array([[2.0, 1.0]] * 2))
    np.testing.assert_array_equal(read(path).values, data[0])


@pytest.mark.parametrize("base", [1, 0])
def test_frequency_selection_counts_from_one_unless_a_zero_occurs(tmp_path, base):
    bins = np.array([0, 2, 5])
    data = random_complex(0, 1, 2, 3, N)
    path = calibration(
        tmp_path / "a.mdf",
        data,
        measurement__isFrequencySelection=np.int8(1),
        measurement__frequencySelection=bins + base,
        calibration__snr=np.arange(6.0).reshape(1, 2, 3),
    )
    matrix = read(path, snr_threshold=2)
    assert matrix.frequency_indices.tolist() == bins.tolist()
    np.testing.assert_array_equal(matrix.row_mask, [[0, 0, 1], [1, 1, 1]])
    np.testing.assert_allclose(matrix.frequencies, bins * 2 * BANDWIDTH / V)
    np.testing.assert_array_equal(matrix.rows(), data[0][matrix.row_mask])


@pytest.mark.parametrize(("kind", "base"), [("DCT-IV", 1), ("DCT-II", 1), ("DCT-II", 0)])
def test_compressed_file_is_expanded(tmp_path, kind, base):
    size = (4, 3, 1)  # a singleton axis is not transformed
    images = random_complex(0, 1, 2, K, 1, 3, 4, dtype=np.complex128)
    empty = random_complex(1, 1, 2, K, 2, dtype=np.complex128)
    transform = reference.orthonormal_dct4 if kind == "DCT-IV" else reference.orthonormal_dct2
    coefficients = np.einsum("ab,cd,...bd->...ac", transform(3), transform(4), images).reshape(1, 2, K, 12)
    kept = np.argsort(-np.abs(coefficients), axis=-1)[..., :12]
    kept[0, 0, 0] = np.roll(kept[0, 0, 0], -int(np.argmin(kept[0, 0, 0])))  # a 0 occurs
    path = calibration(
        tmp_path / "a.mdf",
        np.concatenate([np.take_along_axis(coefficients, kept, -1), empty], -1),
        [12, 13],
        size=size,
        measurement__isSparsityTransformed=np.int8(1),
        measurement__sparsityTransformation=kind,
        measurement__subsamplingIndices=(kept + base).astype(np.int32),
    )
    matrix = read(path)
    np.testing.assert_allclose(matrix.values, images.reshape(2, K, 12), atol=1e-12)
    np.testing.assert_allclose(matrix.background, empty[0].transpose(2, 0, 1), atol=1e-15)
    few = kept[..., :5]
    path = calibration(
        tmp_path / "b.mdf",
        np.concatenate([np.take_along_axis(coefficients, few, -1), empty], -1),
        [5, 6],
        size=size,
        measurement__isSparsityTransformed=np.int8(1),
        measurement__sparsityTransformation=kind,
        measurement__subsamplingIndices=(few + 1).astype(np.int32),
    )
    left = np.zeros_like(coefficients)
    np.put_along_axis(left, few, np.take_along_axis(coefficients, few, -1), -1)
    inverse = np.einsum("ab,cd,...ac->...bd", transform(3), transform(4), left.reshape(1, 2, K, 1, 3, 4))
    np.testing.assert_allclose(
        read(path, background="mean").values + empty[0].mean(-1)[..., None], inverse.reshape(2, K, 12)
    )
    with pytest.raises(io.MDFError, match="when each frame was measured"):
        read(path, background="interpolate")


def test_background_mean(tmp_path):
    data = random_complex(0, 1, 2, K, N + 4)
    path = calibration(tmp_path / "a.mdf", data, range(N, N + 4))
    plain, corrected = read(path), read(path, background="mean")
    center = data[0, ..., N:].mean(-1)
    np.testing.assert_allclose(corrected.values, data[0, ..., :N] - center[..., None], atol=1e-6)
    np.testing.assert_allclose(corrected.background.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(corrected.noise_std, plain.noise_std, rtol=1e-4)
    assert corrected.metadata["/measurement/isBackgroundCorrected"] == 1
    # a file that says so is not corrected again
    path = calibration(tmp_path / "b.mdf", data, range(N, N + 4), measurement__isBackgroundCorrected=np.int8(1))
    np.testing.assert_array_equal(read(path, background="mean").values, data[0, ..., :N])


def test_background_interpolation_between_runs(tmp_path):
    # runs of two frames at the acquisitions (0, 1) and (8, 9) of a drift that is linear in time
    drift = np.arange(16) * (0.5 - 0.25j)
    truth = random_complex(0, K, N)
    places = [0, 1, 8, 9]
    frames = [i for i in range(16) if i not in places]
    data = np.zeros((1, 1, K, 16), np.complex64)
    data[0, 0][:, frames] = truth
    data += drift.astype(np.complex64)
    matrix = read(calibration(tmp_path / "a.mdf", data, places), background="interpolate")
    times = np.clip(frames, 0.5, 8.5)  # held before the first and after the last run
    expected = data[0, 0][:, frames] - times * (0.5 - 0.25j)
    np.testing.assert_allclose(matrix.values[0], expected, atol=2e-6)


def test_transfer_function_states(tmp_path):
    data = random_complex(0, 1, 2, K, N, dtype=np.complex128)
    transfer = random_complex(1, 2, K, dtype=np.complex128)
    transfer[1, 3] = 0
    factor = np.array([2.0, 3.0])
    fields = {"acquisition__receiver__transferFunction": transfer, "acquisition__receiver__inductionFactor": factor}
    path = calibration(tmp_path / "a.mdf", data, **fields)
    raw, corrected = read(path, apply_transfer_function=False), read(path)
    assert not raw.transfer_function_corrected and corrected.transfer_function_corrected
    np.testing.assert_array_equal(raw.values, data[0])
    np.testing.assert_allclose(raw.transfer_function, transfer * factor[:, None])
    keep = transfer != 0
    np.testing.assert_allclose(
        corrected.values[keep], (data[0] / (np.where(keep, transfer, 1) * factor[:, None])[..., None])[keep]
    )
    np.testing.assert_array_equal(corrected.row_mask, keep)
    assert np.all(corrected.values[~keep] == 0)
    done = calibration(tmp_path / "b.mdf", data, **fields, measurement__isTransferFunctionCorrected=np.int8(1))
    np.testing.assert_array_equal(read(done, apply_transfer_function=True).values, data[0])
    assert read(done).transfer_function_corrected
    with pytest.raises(io.MDFError, match="no transfer function"):
        read(calibration(tmp_path / "c.mdf", data), apply_transfer_function=True)
    with pytest.raises(ValueError, match="allowed"):
        read(path, apply_transfer_function="yes")


def test_periods_are_read_one_by_one(tmp_path):
    data = random_complex(0, 2, 2, K, N)
    offsets = np.array([[[1e-3, 0, 0]], [[-1e-3, 0, 0]]])
    path = calibration(tmp_path / "a.mdf", data, acquisition__offsetField=offsets)
    matrices = read(path)
    assert len(matrices) == 2
    for period, matrix in enumerate(matrices):
        np.testing.assert_array_equal(matrix.values, data[period])
        assert matrix.scanner.offset_field.tolist() == offsets[period, 0].tolist()
        np.testing.assert_array_equal(read(path, period=period).values, data[period])
    with pytest.raises(ValueError, match="periods 0 to 1"):
        read(path, period=2)


@pytest.mark.parametrize(
    ("gradient", "expected"),
    [
        (np.array([-1.0, -1.0, 2.0]), np.diag([-1.0, -1.0, 2.0])),
        (np.array([[-1.0, -1.0, 2.0]]), np.diag([-1.0, -1.0, 2.0])),
        (np.array([[0, 1.0, 0], [1, 0, 0], [0, 0, 0]]), np.array([[0, 1.0, 0], [1, 0, 0], [0, 0, 0]])),
        (np.diag([-1.0, -1.0, 2.0])[None], np.diag([-1.0, -1.0, 2.0])),
        (np.broadcast_to(np.diag([-1.0, -1.0, 2.0]), (1, 4, 3, 3)), np.diag([-1.0, -1.0, 2.0])),
        (None, None),
    ],
)
def test_old_spellings_and_missing_fields(tmp_path, gradient, expected):
    data = random_complex(0, 1, 2, K, N)
    path = calibration(
        tmp_path / "a.mdf",
        data,
        acquisition__gradient=gradient,
        acquisition__offsetField=np.array([1e-3, 0.0, 0.0]),
        acquisition__numPeriodsPerFrame=None,
        acquisition__numPeriods=np.int64(1),
        acquisition__numAverages=None,
        acquisition__drivefield__waveform="sine",
        acquisition__drivefield__divider=np.array([V, V // 2, V // 4]),
        acquisition__drivefield__strength=np.array([0.012, 0.012, 0.0]),
        acquisition__drivefield__phase=None,
        measurement__isSparsityTransformed=None,
        measurement__isBackgroundFrame=None,
        version="2.0",
    )
    matrix = read(path)
    np.testing.assert_array_equal(matrix.values, data[0])
    info = io.read_info(path)
    assert info.offset_field.tolist() == [1e-3, 0.0, 0.0] and info.n_averages == 1
    assert matrix.sequence.cycles == (1, 2, 0)
    if expected is None:
        assert info.gradient is None and matrix.scanner is None and "/acquisition/gradient" in info.lacks
    else:
        np.testing.assert_array_equal(info.gradient, expected)
    missing = {"/acquisition/numAverages", "/measurement/isSparsityTransformed", "/measurement/isBackgroundFrame"}
    assert missing <= set(info.lacks) and "/acquisition/numPeriodsPerFrame" not in info.lacks
    for path in missing:
        assert path in io.describe(info)


def test_grid_from_positions(tmp_path):
    data = random_complex(0, 1, 2, K, N)
    x, y, z = np.array([-0.01, 0.0, 0.01]), np.array([0.0, 0.01]), np.array([-0.005, 0.005])
    positions = np.array([(a, b, c) for c in z for b in y for a in x])
    fields = {"calibration__size": None, "calibration__fieldOfView": None, "calibration__fieldOfViewCenter": None}
    matrix = read(calibration(tmp_path / "a.mdf", data, **fields, calibration__positions=positions))
    assert matrix.grid.shape == (3, 2, 2)
    np.testing.assert_allclose(matrix.grid.positions, positions, atol=1e-12)
    scattered = np.random.default_rng(0).normal(size=(N, 3))
    with pytest.raises(io.MDFError, match="no regular grid"):
        read(calibration(tmp_path / "b.mdf", data, **fields, calibration__positions=scattered))
    with pytest.raises(io.MDFError, match="lacks /calibration/size"):
        read(calibration(tmp_path / "c.mdf", data, **fields))


def test_slice_without_thickness_gets_that_of_the_sample(tmp_path):
    data = random_complex(0, 1, 2, K, 6)
    path = calibration(tmp_path / "a.mdf", data, size=(3, 2, 1), calibration__fieldOfView=np.array([0.03, 0.02, 0.0]))
    assert read(path).grid.fov.tolist() == [0.03, 0.02, 1e-3]


def test_snr_is_that_of_the_reference(tmp_path):
    # 25 rows: strong ones with a peak, weak ones in the noise
    draw = np.random.default_rng(0)
    strength = np.geomspace(100, 0.01, 25)
    shape = np.exp(-((np.arange(24) - 9) ** 2) / 8.0)
    foreground = (
        strength[:, None] * shape * np.exp(1j * draw.normal(size=(25, 1))) + random_complex(1, 25, 24)
    ).astype(np.complex64)
    background = random_complex(2, 6, 25)
    expected = reference.snr(foreground, background)
    for rows in (None, 4):
        found = io.system_matrix_snr(foreground[None], background[:, None], rows)
        np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    data = np.concatenate([foreground, background.T], -1)[None, None]
    path = calibration(tmp_path / "a.mdf", data, range(24, 30), size=(4, 3, 2), n_samples=48)
    np.testing.assert_allclose(read(path).snr[0], expected, rtol=1e-5)
    # a threshold needs the SNR of every row, which is computed from the file first
    kept = io.open_system_matrix(path).select(snr_threshold=10)
    assert kept.n_rows == np.count_nonzero(expected >= 10) < 25
    np.testing.assert_allclose(kept.read().snr[0], expected[expected >= 10], rtol=1e-5)
    single = io.system_matrix_snr(foreground[None], background[:1, None])
    assert np.all(np.isfinite(single))


def test_one_clear_error_each(tmp_path):
    data = random_complex(0, 1, 2, K, N)

    def refused(match, path=tmp_path / "a.mdf"):
        with pytest.raises(io.MDFError, match=match) as caught:
            read(path)
        assert caught.value.__cause__ is None and "\n" not in str(caught.value)

    (tmp_path / "text.mdf").write_text("not a file of numbers")
    refused("not an HDF5 file", tmp_path / "text.mdf")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["values"] = np.arange(3)
    refused("not MDF", tmp_path / "other.h5")
    with pytest.raises(FileNotFoundError, match="no file"):
        read(tmp_path / "nowhere.mdf")
    calibration(tmp_path / "a.mdf", data, version="1.0.5")  # which it is not: its data are those of MDF 2
    assert read(tmp_path / "a.mdf").values.shape == (2, K, N)
    calibration(tmp_path / "a.mdf", data, calibration__method=None, calibration__size=None)
    refused("without a calibration")
    calibration(tmp_path / "a.mdf", data, size=(3, 2, 3))
    refused("18 voxels, but the data hold 12")
    selected = {"measurement__isFrequencySelection": np.int8(1)}
    calibration(tmp_path / "a.mdf", data, **selected, measurement__frequencySelection=np.array([1, 2]))
    refused("frequencySelection names 2")
    calibration(tmp_path / "a.mdf", data[:, :, :2], **selected, measurement__frequencySelection=np.array([1, 20]))
    refused("reaches bin 19")
    calibration(tmp_path / "a.mdf", data[:, :, :2], **selected, measurement__frequencySelection=np.array([3, 3]))
    refused("twice")
    calibration(tmp_path / "a.mdf", data[:, :, :2], **selected)
    refused("frequencySelection is missing")
    calibration(tmp_path / "a.mdf", data[:, :, :4])
    refused("4 frequencies")
    calibration(tmp_path / "a.mdf", data, measurement__data=data[0])
    refused("four axes")
    calibration(tmp_path / "a.mdf", data, measurement__isBackgroundFrame=np.zeros(3, np.int8))
    refused("isBackgroundFrame has 3")
    calibration(tmp_path / "a.mdf", data, calibration__order="abc")
    refused("permutation of xyz")
    calibration(tmp_path / "a.mdf", data, acquisition__receiver__transferFunction=np.ones((2, 4), complex))
    refused("transferFunction has 4 frequencies")
    calibration(tmp_path / "a.mdf", data, measurement__data=None)
    refused("no /measurement/data")
    calibration(tmp_path / "a.mdf", data)
    with pytest.raises(io.MDFError, match="no background frames"):
        read(tmp_path / "a.mdf", background="mean")
    with pytest.raises(ValueError, match="allowed: 'none'"):
        read(tmp_path / "a.mdf", background="median")
    truncated = (tmp_path / "a.mdf").read_bytes()[:-3000]
    (tmp_path / "a.mdf").write_bytes(truncated)
    refused("damaged")
