"""The fields of MDF 2.1.0: which are mandatory, which are optional, older spellings, and where a header is kept.

Source: MDF specification 2.1.0 (Knopp et al., arXiv:1602.06072).
"""

from mpijax.system.facts.header import keep_under

MANDATORY = (
    "/time",
    "/uuid",
    "/version",
    *(f"/study/{name}" for name in ("description", "name", "number", "uuid")),
    *(f"/experiment/{name}" for name in ("description", "isSimulation", "name", "number", "subject", "uuid")),
    *(f"/scanner/{name}" for name in ("facility", "manufacturer", "name", "operator", "topology")),
    *(f"/acquisition/{name}" for name in ("numAverages", "numFrames", "numPeriodsPerFrame", "startTime")),
    *(
        f"/acquisition/drivefield/{name}"
        for name in ("baseFrequency", "cycle", "divider", "numChannels", "phase", "strength", "waveform")
    ),
    *(f"/acquisition/receiver/{name}" for name in ("bandwidth", "numChannels", "numSamplingPoints", "unit")),
)
"""Mandatory in every file."""

MANDATORY_IN_GROUP = {
    "/measurement": (
        "data",
        "isBackgroundCorrected",
        "isBackgroundFrame",
        "isFastFrameAxis",
        "isFourierTransformed",
        "isFramePermutation",
        "isFrequencySelection",
        "isSparsityTransformed",
        "isSpectralLeakageCorrected",
        "isTransferFunctionCorrected",
    ),
    "/tracer": ("batch", "concentration", "name", "solute", "vendor", "volume"),
    "/calibration": ("method",),
}
"""Mandatory where the (optional) group is there."""

OPTIONAL = (
    "/study/time",
    "/scanner/boreSize",
    "/tracer/injectionTime",
    "/acquisition/gradient",
    "/acquisition/offsetField",
    *(f"/acquisition/receiver/{name}" for name in ("dataConversionFactor", "inductionFactor", "transferFunction")),
)
CALIBRATION_OPTIONAL = tuple(
    f"/calibration/{name}"
    for name in (
        "deltaSampleSize",
        "fieldOfView",
        "fieldOfViewCenter",
        "offsetFields",
        "order",
        "positions",
        "size",
        "snr",
    )
)
CONDITIONAL = {
    "isFramePermutation": ("/measurement/framePermutation",),
    "isFrequencySelection": ("/measurement/frequencySelection",),
    "isSparsityTransformed": ("/measurement/sparsityTransformation", "/measurement/subsamplingIndices"),
}
"""Needed where the flag under /measurement is set."""

OLD_SPELLINGS = {
    "/acquisition/numPeriodsPerFrame": "/acquisition/numPeriods",
    "/measurement/isFastFrameAxis": "/measurement/isTransposed",
}
"""MDF 2.0 names that are read in place of the present ones."""

ROW_MASK = "/measurement/_rowMask"
ANGLES = "/acquisition/receiver/_angles"
CHANNELS = "/acquisition/receiver/_channels"
PERIODS = "/acquisition/_periods"
FREQUENCIES = "/acquisition/receiver/_frequencies"
FREQUENCIES_UNKNOWN = "/acquisition/receiver/_frequenciesUnknown"
ACQUIRED = "/measurement/_acquired"
"""When each frame was measured, counted from 0, of a file that lacks frames in between."""
PARAMETERS = "/reconstruction/_parameters"

DRIVE = "/acquisition/drivefield"
STRENGTH, PHASE, WAVEFORM = f"{DRIVE}/strength", f"{DRIVE}/phase", f"{DRIVE}/waveform"
GRADIENT, OFFSET = "/acquisition/gradient", "/acquisition/offsetField"
CONCENTRATION, UNIT, AVERAGES = "/tracer/concentration", "/acquisition/receiver/unit", "/acquisition/numAverages"
ASSUMED = "/acquisition/_assumed"
"""Names the fields that a file lacks and that its scanner, sequence and sample assume."""
RESTORATION = "/calibration/_restoration"
"""What was done to a restored matrix."""
PLAN = "/calibration/_plan"
"""By which a simulated or a restored matrix was made."""
BY_PERIOD = (STRENGTH, PHASE, GRADIENT, OFFSET)
"""Fields with one entry for all periods or one for each."""
HEADER = {
    "averages": AVERAGES,
    "simulated": "/experiment/isSimulation",
    "method": "/calibration/method",
    "description": "/experiment/description",
    "restoration": RESTORATION,
    "plan": PLAN,
    "unit": UNIT,
    "base_frequency": f"{DRIVE}/baseFrequency",
    "cycle": f"{DRIVE}/cycle",
    "drive_channels": f"{DRIVE}/numChannels",
    "divider": f"{DRIVE}/divider",
    "strength": STRENGTH,
    "phase": PHASE,
    "waveform": WAVEFORM,
    "gradient": GRADIENT,
    "offset_field": OFFSET,
    "concentration": CONCENTRATION,
    "assumed": ASSUMED,
}
"""Where the fields of :class:`mpijax.system.facts.header.Header` stand."""

keep_under(HEADER)
