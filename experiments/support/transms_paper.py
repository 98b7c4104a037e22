"""The figures that the TranSMS paper prints, by method and scale (2, 4, 8)."""

SIMULATED = {
    "bicubic": ((3.53, 14.82, 46.88), (4.02, 14.95, 46.92)),
    "strided bicubic, misaligned": ((14.9, 42.61, 80.20), (16.6, 50.20, 93.34)),
    "compressed sensing": ((4.15, 23.58, 80.60), (9.81, 37.94, 101.39)),
    "SRCNN": ((33.5, 36.48, 53.93), (38.8, 35.84, 50.00)),
    "VDSR": ((2.66, 5.49, 20.02), (6.51, 13.36, 48.16)),
    "2d-SMRnet": ((0.12, 0.36, 1.11), (1.34, 5.30, 64.02)),
    "TranSMS": ((0.09, 0.13, 0.40), (0.41, 0.58, 3.71)),
}
"""Table III: nRMSE [%], clean and noisy."""

ABLATION = {
    "RDSR": (0.84, 1.18, 4.32),
    "CTSR": (0.45, 0.70, 4.06),
    "CNN-ViT": (0.67, 0.81, 3.91),
    "RD-ViT": (0.57, 0.76, 4.14),
    "CNN-CT": (0.51, 0.68, 4.31),
    "TranSMS": (0.41, 0.58, 3.71),
}
"""Table II: nRMSE [%], noisy."""

IMAGES = {
    "bicubic": (24.85, 14.05, 9.70),
    "strided bicubic, misaligned": (15.00, 9.86, 8.36),
    "compressed sensing": (19.92, -4.15, -14.20),
    "SRCNN": (16.56, 12.39, -8.25),
    "VDSR": (23.07, 17.32, -9.62),
    "2d-SMRnet": (24.77, 20.38, -11.60),
    "TranSMS": (26.35, 25.72, 20.89),
}
"""Table IV: pSNR [dB] of simulated images, noisy."""

TEMPORAL = {
    "bicubic": (4.55, 18.13, 52.02),
    "strided bicubic, misaligned": (16.86, 47.41, 92.08),
    "compressed sensing": (8.81, 51.48, 101.31),
    "SRCNN": (53.65, 53.16, 79.29),
    "VDSR": (4.55, 12.62, 39.19),
    "2d-SMRnet": (19.69, 48.94, 75.37),
    "TranSMS": (3.15, 6.19, 20.58),
}
"""Table V: nRMSE [%], Open MPI, another time."""

TRACER = {
    "bicubic": (4.55, 18.13, 52.02),
    "strided bicubic, misaligned": (16.86, 47.41, 92.08),
    "compressed sensing": (8.81, 51.48, 101.31),
    "SRCNN": (50.88, 62.81, 106.76),
    "VDSR": (3.34, 11.83, 113.81),
    "2d-SMRnet": (6.85, 17.22, 78.88),
    "TranSMS": (3.32, 10.66, 114.45),
}
"""Table VI: nRMSE [%], Open MPI, another tracer and gradient."""

TRACER_IMAGES = {
    "bicubic": (34.77, 17.15, 11.34),
    "strided bicubic, misaligned": (33.30, 18.62, 13.88),
    "compressed sensing": (33.89, 20.47, 16.12),
    "SRCNN": (32.21, 19.39, None),
    "VDSR": (38.23, 30.59, 10.01),
    "2d-SMRnet": (33.79, 24.81, 12.60),
    "TranSMS": (38.54, 31.96, 13.38),
}
"""Table VI: pSNR [dB] of the images."""

IN_HOUSE = {
    "bicubic": (10.97, 36.26, 69.76),
    "strided bicubic, misaligned": (25.99, 68.40, 101.52),
    "compressed sensing": (15.31, 62.54, 104.00),
    "SRCNN": (43.79, 75.40, 437.66),
    "VDSR": (7.46, 14.78, 30.46),
    "2d-SMRnet": (6.65, 11.27, 56.06),
    "TranSMS": (6.03, 8.92, 21.47),
}
"""Table VII: nRMSE [%], the authors' scanner."""

IN_HOUSE_IMAGES = {
    "bicubic": (16.25, 13.75, 4.25),
    "strided bicubic, misaligned": (15.84, 12.88, 5.63),
    "compressed sensing": (17.30, 7.68, 2.59),
    "SRCNN": (13.78, 6.46, 6.08),
    "VDSR": (20.24, 18.39, 10.21),
    "2d-SMRnet": (22.71, 19.38, 6.22),
    "TranSMS": (24.89, 19.68, 12.51),
}
"""Table VII: pSNR [dB] of the images."""

COLUMN = {2: 0, 4: 1, 8: 2}
"""Scale -> place in the tuples."""
