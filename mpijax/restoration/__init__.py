"""Restoring system matrices with trained networks and classical methods."""

from mpijax.restoration.compressed_calibration import compressed_calibration as compressed_calibration
from mpijax.restoration.compressed_calibration import random_mask as random_mask
from mpijax.restoration.filters import dct_filter as dct_filter
from mpijax.restoration.filters import local_wiener as local_wiener
from mpijax.restoration.fitted_matrix import LineFit as LineFit
from mpijax.restoration.fitted_matrix import fit_field_free_line as fit_field_free_line
from mpijax.restoration.fitted_matrix import fitted_matrix as fitted_matrix
from mpijax.restoration.inpaint import biharmonic_inpaint as biharmonic_inpaint
from mpijax.restoration.inpaint import compressed_sensing as compressed_sensing
from mpijax.restoration.inpaint import inpaint_denoise as inpaint_denoise
from mpijax.restoration.inpaint import wiener_inpaint as wiener_inpaint
from mpijax.restoration.interpolate import spline_upsample as spline_upsample
from mpijax.restoration.network import find_restorer as find_restorer
from mpijax.restoration.noise import background_noise as background_noise
from mpijax.restoration.noise import estimate_noise as estimate_noise
from mpijax.restoration.outliers import find_outliers as find_outliers
from mpijax.restoration.patches import recover_by_patches as recover_by_patches
from mpijax.restoration.recipes import Recipe as Recipe
from mpijax.restoration.recipes import recipe as recipe
from mpijax.restoration.recovery import train_recovery as train_recovery
from mpijax.restoration.restore import restore as restore
from mpijax.restoration.upsample import CLASSICAL as CLASSICAL
from mpijax.restoration.upsample import load_upsampler as load_upsampler
from mpijax.restoration.upsample import network_upsampler as network_upsampler
