"""Restoring system matrices with trained networks and classical methods."""

from typing import TYPE_CHECKING

from mpijax.core.moved import forward
from mpijax.restoration.apply import restore as restore
from mpijax.restoration.choose import find_method as find_method
from mpijax.restoration.method import Method as Method
from mpijax.restoration.noise import background_noise as background_noise
from mpijax.restoration.noise import estimate_noise as estimate_noise
from mpijax.restoration.own_scanner import OwnScanner as OwnScanner
from mpijax.restoration.own_scanner import like as like
from mpijax.restoration.patches import upsample_by_patches as upsample_by_patches
from mpijax.restoration.recipes import Recipe as Recipe
from mpijax.restoration.recipes import recipe as recipe
from mpijax.restoration.record import Restored as Restored
from mpijax.restoration.training import train as train
from mpijax.restoration.upsampling import load_upsampler as load_upsampler

if not TYPE_CHECKING:
    __getattr__ = forward(
        __name__,
        {
            "LineFit": "mpijax.identification",
            "fit_field_free_line": "mpijax.identification",
            "fitted_matrix": "mpijax.identification",
            "biharmonic_inpaint": "mpijax.rows",
            "compressed_calibration": "mpijax.rows",
            "find_outliers": "mpijax.rows",
            "compressed_sensing": "mpijax.rows",
            "dct_filter": "mpijax.rows",
            "inpaint_denoise": "mpijax.rows",
            "local_wiener": "mpijax.rows",
            "random_mask": "mpijax.rows",
            "spline_upsample": "mpijax.rows",
            "wiener_inpaint": "mpijax.rows",
            "recover_by_patches": "mpijax.restoration:upsample_by_patches",
            "train_recovery": "mpijax.restoration.training",
        },
        {
            "CLASSICAL": "Upsample(scale).classical(), which names them",
            "find_restorer": "find_method(task, dimensions, method), whose task is a value: Denoise(), Complete(2), ...",
            "network_upsampler": "find_method(Upsample(scale, sampling), 2, path), or mpijax.restoration.network.network_rows",
        },
    )
