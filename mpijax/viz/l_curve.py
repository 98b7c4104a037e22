"""The L-curve of a regularized reconstruction."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from mpijax.reconstruction import LCurve
from mpijax.viz.style import COLORS, new_figure, styled


@styled
def plot_l_curve(curve: LCurve) -> Figure:
    """Solution norm over residual norm with the corner marked, and the curvature over lambda beside it.

    Args:
        curve: from ``mj.reconstruction.l_curve``.

    Returns:
        The figure; the axes are logarithmic except that of the curvature.

    Raises:
        ValueError: a curve of a zero image or zero residual, which has no logarithm.

    Source: Hansen, SIAM Rev. 34 (1992) 561; the corner: Hansen and O'Leary, SIAM J. Sci. Comput. 14 (1993) 1487.
    """
    residual, solution, lambdas = (
        np.asarray(part, float) for part in (curve.residual_norm, curve.solution_norm, curve.lambdas)
    )
    if not (residual > 0).all() or not (solution > 0).all():
        raise ValueError(
            "the residual or the solution norm is zero somewhere, or not a number; an L-curve needs both positive."
        )
    corner = float(curve.regularization)
    figure = new_figure(7.0, 3.0)
    left, right = figure.subplots(1, 2)
    left.loglog(residual, solution, color=COLORS[0])
    left.plot(*map(float, curve.corner), "o", color=COLORS[1], label=f"corner, λ = {corner:.2g}")
    left.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))  # labels of more run into each other
    left.set(xlabel="|W(Ax − b)|", ylabel="|x|")
    right.semilogx(lambdas, np.asarray(curve.curvature), color=COLORS[0])
    right.axvline(corner, color=COLORS[1], linestyle="--")
    right.set(xlabel="λ", ylabel="curvature")
    if not bool(curve.interior):
        left.set_title("no corner inside the range")
    left.legend()
    return figure
