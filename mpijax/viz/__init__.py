"""Figures for print; every function returns a matplotlib figure, :func:`save` writes it."""

import lazy_loader

from mpijax.core.moved import forward

_named, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
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
    otherwise=_named,
)
