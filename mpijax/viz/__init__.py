"""Figures for print; every function returns a matplotlib figure, :func:`save` writes it."""

from typing import TYPE_CHECKING

from mpijax.core.moved import forward
from mpijax.viz.curves import plot_background_drift as plot_background_drift
from mpijax.viz.curves import plot_learning_curve as plot_learning_curve
from mpijax.viz.curves import plot_snr as plot_snr
from mpijax.viz.gallery import plot_gallery as plot_gallery
from mpijax.viz.image_table import plot_image_table as plot_image_table
from mpijax.viz.images import plot_reconstructions as plot_reconstructions
from mpijax.viz.inspect import inspect_figure as inspect_figure
from mpijax.viz.l_curve import plot_l_curve as plot_l_curve
from mpijax.viz.restored import plot_restored as plot_restored
from mpijax.viz.rows import complex_to_rgb as complex_to_rgb
from mpijax.viz.rows import plot_rows as plot_rows
from mpijax.viz.slices import plot_slices as plot_slices
from mpijax.viz.style import figure_format as figure_format
from mpijax.viz.style import save as save

if not TYPE_CHECKING:
    __getattr__ = forward(
        __name__,
        {},
        dict.fromkeys(
            (
                "plot_against_iterations",
                "plot_cross_profiles",
                "plot_profiles",
                "plot_row_weights",
                "plot_scaling",
                "plot_validity",
            ),
            "plot_rows, plot_reconstructions or matplotlib; figures of single experiments lie with them, in experiments/figures",
        ),
    )
