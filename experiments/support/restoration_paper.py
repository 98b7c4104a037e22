"""The figures that the restoration paper prints, to stand beside ours.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), Tables 2 to 6: (PSNR [dB], SSIM). Its intervals treat every frequency
component as independent; they are left out here.
"""

TABLE_2 = {
    2: {
        0.06: {"DCT-F": (25.0, 0.841), "DnCNN": (38.9, 0.989), "RDN": (40.6, 0.992), "SwinIR": (41.1, 0.993)},
        0.1: {"DCT-F": (21.9, 0.76), "DnCNN": (35.7, 0.978), "RDN": (37.5, 0.986), "SwinIR": (37.8, 0.986)},
        0.2: {"DCT-F": (18.1, 0.57), "DnCNN": (31.1, 0.947), "RDN": (33.1, 0.966), "SwinIR": (33.3, 0.968)},
        0.3: {"DCT-F": (16.0, 0.42), "DnCNN": (28.1, 0.904), "RDN": (30.4, 0.942), "SwinIR": (30.6, 0.946)},
    },
    3: {
        0.06: {"DCT-F": (28.01, 0.914), "DnCNN": (37.23, 0.9876), "RDN": (38.30, 0.9898)},
        0.1: {"DCT-F": (25.23, 0.845), "DnCNN": (34.52, 0.978), "RDN": (35.79, 0.9827)},
        0.2: {"DCT-F": (21.74, 0.692), "DnCNN": (30.49, 0.947), "RDN": (32.10, 0.961)},
        0.3: {"DCT-F": (19.77, 0.558), "DnCNN": (27.83, 0.906), "RDN": (29.58, 0.930)},
    },
}
"""Denoising: dimensions -> sigma -> method."""

RANGES = {"(12, 18]": (12.0, 18.0), "(18, 24]": (18.0, 24.0), "(24, 30]": (24.0, 30.0)}
"""Mean voxels per axis of Tables 3 and 5."""

TABLE_3 = {
    0.0: {
        "tricubic": {"(12, 18]": (17.1, 0.353), "(18, 24]": (19.1, 0.44), "(24, 30]": (21.6, 0.601), "all": (18.75, 0.452)},
        "SMRnet": {"(12, 18]": (16.6, 0.24), "(18, 24]": (19.4, 0.40), "(24, 30]": (21.5, 0.51), "all": (18.74, 0.383)},
    },
    0.1: {
        "tricubic": {"(12, 18]": (16.5, 0.326), "(18, 24]": (18.2, 0.38), "(24, 30]": (19.83, 0.461), "all": (17.86, 0.392)},
        "SMRnet": {"(12, 18]": (16.5, 0.24), "(18, 24]": (19.2, 0.39), "(24, 30]": (21.7, 0.53), "all": (18.69, 0.378)},
    },
}  # fmt: skip
"""Accelerated calibration: sigma -> method -> range of sizes."""

TABLE_4 = {
    0.0: {
        2: {"bicubic": (28.4, 0.911), "SMRnet": (54.0, 0.993)},
        4: {"bicubic": (26.2, 0.87), "SMRnet": (52.4, 0.992)},
    },
    0.1: {2: {"bicubic": (21.9, 0.58), "SMRnet": (38.9, 0.976)}, 4: {"bicubic": (21.1, 0.47), "SMRnet": (38.1, 0.963)}},
}
"""Upsampling: sigma -> factor -> method."""

TABLE_5 = {
    0.0: {
        "biharmonic": {"(12, 18]": (30.3, 0.930), "(18, 24]": (31.4, 0.936), "(24, 30]": (37.7, 0.959), "all": (34.1, 0.943)},
        "PConvUNet": {"(12, 18]": (18.3, 0.45), "(18, 24]": (22.1, 0.63), "(24, 30]": (27.7, 0.81), "all": (22.7, 0.645)},
    },
    0.1: {
        "biharmonic": {"(12, 18]": (21.40, 0.847), "(18, 24]": (21.9, 0.795), "(24, 30]": (22.1, 0.627), "all": (21.60, 0.653)},
        "PConvUNet": {"(12, 18]": (18.3, 0.44), "(18, 24]": (22.0, 0.62), "(24, 30]": (27.4, 0.80), "all": (22.7, 0.641)},
    },
}  # fmt: skip
"""Inpainting: sigma -> method -> range of sizes."""

TABLE_6 = {
    0.06: {"anisotropy": (39.67, 0.992), "Langevin": (31.3, 0.94)},
    0.1: {"anisotropy": (36.8, 0.983), "Langevin": (29.3, 0.91)},
    0.2: {"anisotropy": (32.2, 0.959), "Langevin": (26.2, 0.86)},
    0.3: {"anisotropy": (29.5, 0.929), "Langevin": (24.4, 0.81)},
}
"""RDN on fluid matrices, by what it was trained on: sigma -> training set."""

REPETITION = {2: 652.8e-6, 3: 21.54e-3}
"""Seconds of one sequence in the plane and in a volume."""


def calibration_hours(positions: int, averages: int, dimensions: int) -> float:
    """Positions x averages x repetition time [h], as the paper counts, without the robot."""
    return positions * averages * REPETITION[dimensions] / 3600
