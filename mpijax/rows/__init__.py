"""Algebra of rows: scaling, degradation, resampling, masks, transforms, classical filters."""

from mpijax.rows.degradation import degrade as degrade
from mpijax.rows.degradation import degraded_noise_std as degraded_noise_std
from mpijax.rows.filters import dct_filter as dct_filter
from mpijax.rows.filters import local_wiener as local_wiener
from mpijax.rows.inpainting import biharmonic_inpaint as biharmonic_inpaint
from mpijax.rows.inpainting import compressed_sensing as compressed_sensing
from mpijax.rows.inpainting import inpaint_denoise as inpaint_denoise
from mpijax.rows.inpainting import wiener_inpaint as wiener_inpaint
from mpijax.rows.linear import apply_linear_filter as apply_linear_filter
from mpijax.rows.linear import consistent_bicubic as consistent_bicubic
from mpijax.rows.linear import fit_linear_filter as fit_linear_filter
from mpijax.rows.masks import block_mask as block_mask
from mpijax.rows.masks import missing_block as missing_block
from mpijax.rows.masks import stride_mask as stride_mask
from mpijax.rows.resampling import bicubic as bicubic
from mpijax.rows.resampling import bilinear as bilinear
from mpijax.rows.scaling import channels_to_complex as channels_to_complex
from mpijax.rows.scaling import complex_to_channels as complex_to_channels
from mpijax.rows.scaling import denormalize as denormalize
from mpijax.rows.scaling import normalize as normalize
from mpijax.rows.scaling import present_rows as present_rows
from mpijax.rows.sparse_fourier import compressed_calibration as compressed_calibration
from mpijax.rows.sparse_fourier import random_mask as random_mask
from mpijax.rows.splines import spline_upsample as spline_upsample
