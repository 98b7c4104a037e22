"""The tables that the VRF-Net paper prints, and how far they can be compared with.

nRMSE is printed without a unit ("percent" in the text of other papers it is compared with), pSNR in dB.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Printed = Mapping[int, Mapping[str, tuple[float, float, float]]]
"""Scale -> method -> nRMSE, pSNR [dB], SSIM."""

TABLE_4: Printed = {
    2: {
        "bicubic": (47.186, 19.50, 0.420),
        "SRCNN": (41.06, 19.92, 0.508),
        "VDSR": (10.05, 21.25, 0.589),
        "MDSR": (9.94, 29.10, 0.647),
        "TranSMS": (3.15, 35.39, 0.797),
        "VRF-Net": (0.403, 39.08, 0.835),
    },
    4: {
        "bicubic": (78.174, 15.72, 0.417),
        "SRCNN": (34.89, 17.95, 0.620),
        "VDSR": (26.05, 19.53, 0.641),
        "MDSR": (17.78, 26.90, 0.678),
        "TranSMS": (6.19, 34.15, 0.684),
        "VRF-Net": (3.404, 38.06, 0.729),
    },
    8: {
        "bicubic": (137.18, 13.39, 0.409),
        "SRCNN": (136.05, 15.66, 0.609),
        "VDSR": (121.27, 16.27, 0.634),
        "MDSR": (58.19, 21.86, 0.598),
        "TranSMS": (20.58, 30.80, 0.704),
        "VRF-Net": (46.404, 31.06, 0.717),
    },
}
"""Matrices of the Open MPI data."""

TABLE_5: Printed = {
    2: {
        "bicubic": (45.05, 18.38, 0.543),
        "SRCNN": (34.31, 20.20, 0.567),
        "VDSR": (31.12, 24.83, 0.543),
        "MDSR": (18.25, 25.76, 0.660),
        "TranSMS": (4.33, 27.24, 0.691),
        "VRF-Net": (4.44, 28.52, 0.771),
    },
    4: {
        "bicubic": (69.02, 15.11, 0.435),
        "SRCNN": (55.38, 17.42, 0.539),
        "VDSR": (41.20, 20.51, 0.493),
        "MDSR": (14.20, 21.30, 0.573),
        "TranSMS": (8.36, 23.87, 0.671),
        "VRF-Net": (6.28, 26.91, 0.701),
    },
    8: {
        "bicubic": (89.05, 13.88, 0.408),
        "SRCNN": (79.45, 15.28, 0.491),
        "VDSR": (71.16, 17.18, 0.402),
        "MDSR": (34.23, 19.30, 0.489),
        "TranSMS": (11.06, 22.76, 0.567),
        "VRF-Net": (11.01, 23.34, 0.600),
    },
}
"""Simulated matrices."""

TABLE_6: Printed = {
    2: {
        "bicubic": (38.06, 20.76, 0.410),
        "SRCNN": (35.23, 21.24, 0.548),
        "VDSR": (13.10, 26.00, 0.648),
        "MDSR": (7.46, 28.37, 0.656),
        "TranSMS": (3.32, 38.54, 0.738),
        "VRF-Net": (1.79, 41.58, 0.960),
    },
    4: {
        "bicubic": (67.04, 16.99, 0.407),
        "SRCNN": (32.24, 20.24, 0.511),
        "VDSR": (23.08, 19.79, 0.597),
        "MDSR": (15.17, 24.39, 0.591),
        "TranSMS": (10.66, 31.96, 0.610),
        "VRF-Net": (2.09, 34.74, 0.746),
    },
    8: {
        "bicubic": (98.04, 14.02, 0.400),
        "SRCNN": (91.29, 17.60, 0.477),
        "VDSR": (79.08, 18.54, 0.535),
        "MDSR": (43.30, 21.90, 0.540),
        "TranSMS": (114.45, 13.38, 0.603),
        "VRF-Net": (32.80, 32.26, 0.633),
    },
}
"""Images of the resolution phantom, Open MPI data."""

TABLE_8: Printed = {
    2: {
        "ViT-RB": (6.97, 27.78, 0.619),
        "ViT-CNN": (14.01, 20.78, 0.453),
        "ViT-only": (7.75, 22.98, 0.541),
        "VRF-Net": (4.44, 28.52, 0.771),
    },
    4: {
        "ViT-RB": (8.76, 24.13, 0.613),
        "ViT-CNN": (16.98, 17.08, 0.409),
        "ViT-only": (17.23, 20.53, 0.511),
        "VRF-Net": (6.28, 26.91, 0.701),
    },
}
"""Architectures on simulated matrices."""

TABLE_9: Printed = {
    2: {
        "2 heads": (9.042, 19.12, 0.501),
        "4 heads": (4.760, 24.87, 0.687),
        "6 heads": (1.437, 29.60, 0.698),
        "depth 2": (2.678, 29.64, 0.679),
        "depth 4": (0.583, 29.97, 0.703),
        "depth 6": (0.401, 37.04, 0.850),
        "VRF-Net": (0.403, 39.08, 0.835),
    }
}
"""Heads and depth on the Open MPI data."""

FIGURE_12: Printed = {
    2: {
        "absmax": (3.972, 30.43, 0.681),
        "box": (3.632, 32.56, 0.701),
        "maxavg": (3.404, 38.06, 0.729),
    },
    4: {
        "absmax": (6.421, 17.74, 0.432),
        "box": (4.871, 25.81, 0.678),
        "maxavg": (4.812, 31.76, 0.671),
    },
}
"""Pooling of one Open MPI row, 380 kHz: maximum, mean, and one after the other. The numbers are strides of the pooling."""

TABLE_10: Mapping[str, tuple[float, float, float]] = {
    "bicubic": (1.50, 2.09, 2.07),
    "SRCNN": (0.65, 0.76, 0.78),
    "VDSR": (26.78, 27.8, 27.83),
    "MDSR": (78.78, 79.0, 82.18),
    "TranSMS": (170.18, 172.7, 176.87),
    "VRF-Net": (7.58, 9.09, 11.69),
}
"""Seconds per simulated matrix of unknown size at scales 2, 4, 8 on an unknown device."""

NOT_COMPARABLE = (
    "The paper's figures and these cannot be compared. Its nRMSE is the root mean square error over the range of a row (eq. 11), "
    "but is printed up to 137, so it is no fraction; and read as percent it contradicts the pSNR beside it: with a range of one "
    "to two times the maximum, an error of 0.403 % of the range is a pSNR of 41.9 to 47.9 dB and not 39.08 dB, one of 47.2 % is "
    "0.5 to 6.5 dB and not 19.5 dB (column *follows*). Its pSNR (eq. 10) is twice the usual one in dB, which does not mend this. "
    "So the usual figures stand here: nRMSE in the Frobenius norm over all rows, pSNR with the largest modulus of a row as peak, "
    "and for the record those of eqs. 10 and 11."
)
"""What stands beside every table of the paper."""

TABLE_4_NOTE = (
    "TranSMS' errors in Table 4 (3.15, 6.19, 20.58) are those of Table V of its own paper: Frobenius errors in percent, of other "
    "calibrations (8 and 9 to train, 10 to test), in one column with errors of another formula."
)
TABLE_6_NOTE = (
    "TranSMS' row of Table 6 (3.32, 10.66, 114.45; 38.54, 31.96, 13.38 dB) is copied from Table VI of its own paper, where the "
    "first three are errors of *matrices*; here they stand in a column of errors of images."
)


def follows(nrmse: float) -> str:
    """The pSNR that an error of ``nrmse`` percent of the range allows: the range of signed values is one to two maxima."""
    fraction = nrmse / 100
    return f"{-20 * math.log10(2 * fraction):.1f} to {-20 * math.log10(fraction):.1f}"


def beside(
    printed: Mapping[str, tuple[float, float, float]], ours: Sequence[Mapping[str, Any]], name: str = "method"
) -> list[dict[str, Any]]:
    """A table of the paper beside our medians: one line per method of ours, "-" where the paper has none.

    Args:
        printed: of one scale.
        ours: records with ``name``, "nrmse", "nrmse_range", "psnr", "ssim".
        name: key of the method.
    """
    lines = []
    for record in ours:
        paper = printed.get(record[name])
        nrmse, psnr, ssim = paper if paper is not None else ("-", "-", "-")
        lines.append(
            {
                name: record[name],
                "paper: nRMSE": nrmse,
                "pSNR": psnr,
                "follows": "-" if paper is None else follows(paper[0]),
                "SSIM": ssim,
                "here: nRMSE [%]": 100 * record["nrmse"],
                "pSNR [dB]": record["psnr"],
                "SSIM ": record["ssim"],
                "eq. 11 [%]": 100 * record["nrmse_range"],
                "eq. 10 [dB]": 2 * record["psnr"],
            }
        )
    return lines
