"""MDF files for the tests, written field by field from the specification with h5py alone."""

import h5py
import numpy as np

V = 16
K = V // 2 + 1
BANDWIDTH = 1.25e6


def header(n_frames=1, n_periods=1, n_channels=2, n_samples=V):
    text = "n.a."
    return {
        "/time": "2020-01-02T03:04:05.678",
        "/uuid": "9e2bd06d-8ac4-4d3b-8ac1-1f6d8d4a6e11",
        "/version": "2.1.0",
        "/study/description": text,
        "/study/name": "Study",
        "/study/number": np.int64(3),
        "/study/uuid": "f0f6eac1-46a6-4b35-9c38-5f0b5a9a8a4e",
        "/experiment/description": text,
        "/experiment/name": text,
        "/experiment/number": np.int64(7),
        "/experiment/subject": text,
        "/experiment/uuid": "c8a5a3d4-6d58-43c1-a5b6-2a4a2fd9c54a",
        "/experiment/isSimulation": np.int8(0),
        "/tracer/batch": [text],
        "/tracer/name": ["Perimag"],
        "/tracer/solute": ["Fe"],
        "/tracer/vendor": [text],
        "/tracer/concentration": np.array([0.1]),
        "/tracer/volume": np.array([4e-6]),
        "/scanner/facility": text,
        "/scanner/manufacturer": text,
        "/scanner/name": text,
        "/scanner/operator": text,
        "/scanner/topology": "FFP",
        "/acquisition/numAverages": np.int64(10),
        "/acquisition/numFrames": np.int64(n_frames),
        "/acquisition/numPeriodsPerFrame": np.int64(n_periods),
        "/acquisition/startTime": "2020-01-02T03:04:05.678",
        "/acquisition/gradient": np.broadcast_to(np.diag([-1.0, -1.0, 2.0]), (n_periods, 1, 3, 3)),
        "/acquisition/offsetField": np.zeros((n_periods, 1, 3)),
        "/acquisition/drivefield/baseFrequency": 2.5e6,
        "/acquisition/drivefield/cycle": n_samples / (2 * BANDWIDTH),
        "/acquisition/drivefield/numChannels": np.int64(3),
        "/acquisition/drivefield/divider": np.array([[n_samples], [n_samples // 2], [n_samples // 4]]),
        "/acquisition/drivefield/phase": np.zeros((n_periods, 3, 1)),
        "/acquisition/drivefield/strength": np.broadcast_to([[[0.012], [0.012], [0.0]]], (n_periods, 3, 1)),
        "/acquisition/drivefield/waveform": [["sine"]] * 3,
        "/acquisition/receiver/bandwidth": BANDWIDTH,
        "/acquisition/receiver/numChannels": np.int64(n_channels),
        "/acquisition/receiver/numSamplingPoints": np.int64(n_samples),
        "/acquisition/receiver/unit": "V",
        "/measurement/isBackgroundCorrected": np.int8(0),
        "/measurement/isBackgroundFrame": np.zeros(n_frames, np.int8),
        "/measurement/isFastFrameAxis": np.int8(0),
        "/measurement/isFourierTransformed": np.int8(0),
        "/measurement/isFramePermutation": np.int8(0),
        "/measurement/isFrequencySelection": np.int8(0),
        "/measurement/isSparsityTransformed": np.int8(0),
        "/measurement/isSpectralLeakageCorrected": np.int8(0),
        "/measurement/isTransferFunctionCorrected": np.int8(0),
    }


def write(path, fields):
    """Write a flat dict of fields; None leaves a field out."""
    with h5py.File(path, "w") as file:
        for name, item in fields.items():
            if item is None:
                continue
            if isinstance(item, str) or np.asarray(item).dtype.kind == "U":
                file.create_dataset(name, data=np.asarray(item, object), dtype=h5py.string_dtype())
            else:
                file[name] = item
    return path


def calibration(path, data, background=(), *, size=(3, 2, 2), n_samples=V, **changes):
    """A system matrix; data in the stored layout, [J, C, K, N] unless the flags in ``changes`` say otherwise.

    Args:
        path: where to.
        data: stored array.
        background: stored positions of background frames.
        size: grid.
        n_samples: samples per period.
        **changes: fields to set or (None) to leave out, ``/`` written as ``__``, without the leading one.
    """
    changes = {"/" + name.replace("__", "/"): item for name, item in changes.items()}
    fast = changes.get("/measurement/isFastFrameAxis", 1)
    periods, channels, frames = (data.shape[i] for i in ((0, 1, 3) if fast else (1, 2, 0)))
    fields = header(frames, periods, channels, n_samples)
    mask = np.zeros(frames, np.int8)
    mask[list(background)] = 1
    fields |= {
        "/measurement/data": data,
        "/measurement/isBackgroundFrame": mask,
        "/measurement/isFastFrameAxis": np.int8(1),
        "/measurement/isFourierTransformed": np.int8(1),
        "/calibration/method": "robot",
        "/calibration/size": np.array(size),
        "/calibration/fieldOfView": np.array([0.03, 0.02, 0.01]),
        "/calibration/fieldOfViewCenter": np.array([0.001, 0.0, -0.002]),
        "/calibration/order": "xyz",
        "/calibration/deltaSampleSize": np.array([2e-3, 2e-3, 1e-3]),
    }
    return write(path, fields | changes)


def measurement(path, data, background=(), **changes):
    """A measurement in the time domain [N, J, C, V] unless ``changes`` say otherwise; see :func:`calibration`."""
    changes = {"/" + name.replace("__", "/"): item for name, item in changes.items()}
    fast = changes.get("/measurement/isFastFrameAxis", 0)
    periods, channels, frames = (data.shape[i] for i in ((0, 1, 3) if fast else (1, 2, 0)))
    fields = header(frames, periods, channels)
    mask = np.zeros(frames, np.int8)
    mask[list(background)] = 1
    fields |= {"/measurement/data": data, "/measurement/isBackgroundFrame": mask}
    return write(path, fields | changes)


def random_complex(seed, *shape, dtype=np.complex64):
    draw = np.random.default_rng(seed)
    return (draw.normal(size=shape) + 1j * draw.normal(size=shape)).astype(dtype)
