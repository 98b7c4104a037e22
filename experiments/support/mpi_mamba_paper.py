"""The tables that the MPI-Mamba paper prints: pSNR [dB], SSIM, nRMSE."""

TABLE_1 = {
    "AEPNet": (26.4488, 0.9515, 0.0664),
    "FDS": (26.4364, 0.9501, 0.0653),
    "SFM": (26.6631, 0.9571, 0.0654),
    "NAFNet": (24.5609, 0.8511, 0.0948),
    "Restormer": (26.5548, 0.9546, 0.0663),
    "SwinIR": (26.5528, 0.9503, 0.0669),
    "DiffIR": (26.6604, 0.9542, 0.0651),
    "MPI-Mamba": (29.4758, 0.9684, 0.0495),
}
"""Simulated images."""

TABLE_4 = {
    "backbone": (20.202, 0.531, 0.126),
    "backbone + Mamba": (25.120, 0.860, 0.081),
    "backbone + diffusion": (25.129, 0.855, 0.078),
    "MPI-Mamba": (25.659, 0.870, 0.076),
}
"""Parts of the network, on the paper's measured images."""

TABLE_5 = {16: (20.212, 0.822, 0.135), 32: (23.437, 0.830, 0.089), 64: (25.659, 0.870, 0.076)}
"""Edge of the patches in training, on the paper's measured images."""

NOT_RUN = {
    "AEPNet, FDS, SFM": "their papers give no complete description of the networks",
    "DiffIR": "MPI-Mamba's own scheme with another generator; not implemented",
    "SwinIR": "here for system matrices (two channels); not trained on images",
    "Tables 2 and 3": "their 20,156 measured images are not public",
}
"""What the report lists as not run, and why."""
