"""Figures for print; every function returns a matplotlib figure, :func:`save` writes it."""

from mpijax.viz.curves import plot_background_drift as plot_background_drift
from mpijax.viz.curves import plot_learning_curve as plot_learning_curve
from mpijax.viz.curves import plot_snr as plot_snr
from mpijax.viz.gallery import plot_gallery as plot_gallery
from mpijax.viz.image_table import plot_image_table as plot_image_table
from mpijax.viz.images import plot_reconstructions as plot_reconstructions
from mpijax.viz.inspect import inspect_figure as inspect_figure
from mpijax.viz.l_curve import plot_l_curve as plot_l_curve
from mpijax.viz.profiles import plot_profiles as plot_profiles
from mpijax.viz.resolution import plot_against_iterations as plot_against_iterations
from mpijax.viz.resolution import plot_cross_profiles as plot_cross_profiles
from mpijax.viz.restored import plot_restored as plot_restored
from mpijax.viz.row_weights import plot_row_weights as plot_row_weights
from mpijax.viz.rows import complex_to_rgb as complex_to_rgb
from mpijax.viz.rows import plot_rows as plot_rows
from mpijax.viz.scaling import plot_scaling as plot_scaling
from mpijax.viz.slices import plot_slices as plot_slices
from mpijax.viz.style import figure_format as figure_format
from mpijax.viz.style import save as save
from mpijax.viz.validity import plot_validity as plot_validity
