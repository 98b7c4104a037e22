"""The fields of MDF 2.1.0: which are mandatory, which are optional, and older spellings.

Source: MDF specification 2.1.0 (Knopp et al., arXiv:1602.06072).
"""

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
PARAMETERS = "/reconstruction/_parameters"
