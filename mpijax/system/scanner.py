"""Scanners: selection field, receive coils and receive chain."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_finite, check_range, check_scalar, check_shape, is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, Matrix, Matrix3, Numbers, Scalar, Vector3
from mpijax.physics.fields import selection_field as linear_field
from mpijax.system.coils import Coil, Coils, Field, check_coils
from mpijax.system.leaves import as_leaf


@pytree
class Scanner:
    """Fields and receive chain that do not change during a sequence. Make it with :meth:`create`.

    Attributes:
        gradient: G [T/m], (3, 3).
        offset_field: H_0 [T], (3,); the field-free point sits at -G^-1 H_0.
        receive_coils: None (three homogeneous channels x, y, z of 1 1/m), (c, 3) sensitivities [1/m], or a tuple of coils.
        transfer_function: None (1) or complex (c, n_bins), one factor per receive channel and bin of the sequence.
        selection_field: None (the linear field of gradient and offset), or a pytree with ``.field(points)`` in its place; then
            ``gradient`` and ``offset_field`` are its linear part at the origin.
    """

    gradient: Matrix3
    offset_field: Vector3
    receive_coils: Coils
    transfer_function: Matrix | None
    selection_field: Field | None = None

    @staticmethod
    def create(
        gradient: Numbers | None = None,
        offset_field: Numbers = (0.0, 0.0, 0.0),
        receive_coils: Numbers | Sequence[Coil] | None = None,
        transfer_function: Matrix | None = None,
        *,
        selection_field: Field | None = None,
    ) -> "Scanner":
        """Check and build a scanner.

        Args:
            gradient: diagonal (3,) or full (3, 3) gradient of the selection field [T/m]. Its trace must vanish, since
                div B = 0: up to 1 % of the largest entry is taken for rounding.
            offset_field: [T], (3,).
            receive_coils: None, (c, 3) sensitivities [1/m], or a tuple or list of coils (``LoopCoil``, ``PolylineCoil``,
                ``SeriesCoil``, or anything with ``.field(points)`` that is a pytree).
            transfer_function: complex (c, n_bins) over all bins of the sequence's spectrum, or None.
            selection_field: a field that is not linear, such as ``SolidHarmonicField``: anything with ``.field(points)`` [T]
                that is a pytree. Given instead of ``gradient`` and ``offset_field``.

        Raises:
            ValueError: a gradient that no field can have, NaN, a shape that is wrong, or both descriptions of the field.
        """
        if (gradient is None) == (selection_field is None):
            raise ValueError(
                "give either gradient (T/m, an ideal field) or selection_field (an object with .field(points))."
            )
        if selection_field is not None:
            if not hasattr(selection_field, "field"):
                raise ValueError(
                    f"selection_field is a {type(selection_field).__name__}; expected an object with .field(points) -> (n, 3) T."
                )

            def field_at(point: jax.Array) -> jax.Array:
                return selection_field.field(point[None])[0]

            slope, value = jax.jacfwd(field_at)(jnp.zeros(3)), field_at(jnp.zeros(3))
            if np.any(np.asarray(as_leaf(offset_field)) != 0):
                raise ValueError(
                    "offset_field is given with selection_field; add it to what the field's own method returns."
                )
            return replace(_build(slope, value, receive_coils, transfer_function), selection_field=selection_field)
        matrix = _gradient_matrix(gradient)
        if is_concrete(matrix):
            excess = _trace_excess(matrix)
            if excess > 0.01:
                raise ValueError(
                    f"gradient has diagonal {np.diagonal(matrix)} T/m, whose trace is {excess:.1%} of the largest entry; a "
                    "magnetic field has zero divergence, so the trace must vanish (-1, -1, 2 for instance)."
                )
        return _build(matrix, offset_field, receive_coils, transfer_function)

    @staticmethod
    def field_free_line(
        gradient: Scalar, angle: Scalar = 0.0, receive_coils: Numbers | Sequence[Coil] | None = None
    ) -> "Scanner":
        """A field-free line through the origin in the x-y plane at ``angle`` to the x axis.

        H = G (s z_hat + z e), e = (-sin angle, cos angle, 0), s = r.e: free of curl and divergence; in the plane z = 0 it points
        along z and vanishes on the line. Drive it along z.

        Args:
            gradient: G [T/m].
            angle: [rad], within +-2 pi.
            receive_coils: as for :meth:`create`; None = one homogeneous coil along z.

        Raises:
            ValueError: a gradient that is not in T/m, or an angle in degrees.

        Source: TranSMS paper, section IV-A (the field of an ideal line).
        """
        check_range("gradient", gradient, -100.0, 100.0, "T/m", "Gradients are in T/m (mu0 H).")
        check_range("angle", angle, -2 * np.pi, 2 * np.pi, "rad", "Angles are in radians: 90 degrees is pi/2.")
        for name, value in (("gradient", gradient), ("angle", angle)):
            check_scalar(name, value)
        xp = np if is_concrete((gradient, angle)) else jnp
        gradient, angle = as_leaf(gradient), as_leaf(angle)
        zero = xp.zeros_like(angle + gradient)
        across = xp.stack([-xp.sin(angle) + zero, xp.cos(angle) + zero, zero])
        along = np.array([0.0, 0.0, 1.0])
        matrix = gradient * (along[:, None] * across + across[:, None] * along)
        return _build(matrix, (0.0, 0.0, 0.0), along[None] if receive_coils is None else receive_coils, None)

    @staticmethod
    def spectrometer(
        offset_field: Numbers = (0.0, 0.0, 0.0),
        receive_coils: Numbers | Sequence[Coil] | None = None,
        transfer_function: Matrix | None = None,
    ) -> "Scanner":
        """A magnetic particle spectrometer: a homogeneous offset field and no gradient, the same at every position."""
        return _build(np.zeros((3, 3)), offset_field, receive_coils, transfer_function)

    @staticmethod
    def from_mdf(info: Any) -> "Scanner":
        """The scanner that an MDF file describes: first period's gradient and offset field.

        A gradient whose trace does not vanish is taken as it is with a warning: it is what the lab wrote down.

        Args:
            info: with ``gradient`` (3, 3) [T/m] or None, and ``offset_field`` (3,) [T] or None.

        Raises:
            ValueError: the file holds no gradient.
        """
        if info.gradient is None:
            raise ValueError(
                "the file holds no /acquisition/gradient; give the scanner with Scanner.create(gradient=...)."
            )
        matrix = _gradient_matrix(info.gradient)
        excess = _trace_excess(matrix)
        if excess > 0.01:
            warnings.warn(
                f"the file's gradient {np.diagonal(matrix)} T/m has a trace of {excess:.1%} of its largest entry; a magnetic "
                "field has none. It is used as written.",
                stacklevel=2,
            )
        return _build(matrix, (0.0, 0.0, 0.0) if info.offset_field is None else info.offset_field, None, None)

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """Static field H_S [T], (n, 3), at points (n, 3) [m]."""
        if self.selection_field is not None:
            return self.selection_field.field(points)
        points = jnp.asarray(points)
        dtype = points.dtype
        return linear_field(points, jnp.asarray(self.gradient, dtype), jnp.asarray(self.offset_field, dtype))

    def turned(self, angle: Scalar) -> "Scanner":
        """The scanner whose field is turned by ``angle`` [rad] about the z axis, R G R^T and R H_0; its coils stand still.

        Raises:
            ValueError: the selection field is not linear.
        """
        if self.selection_field is not None:
            raise ValueError("turned() turns a linear field; this scanner has a selection_field of its own.")
        xp = np if is_concrete((self.gradient, self.offset_field, angle)) else jnp
        c, s, zero, one = xp.cos(angle), xp.sin(angle), xp.zeros_like(angle), xp.ones_like(angle)
        turn = xp.stack([xp.stack([c, -s, zero]), xp.stack([s, c, zero]), xp.stack([zero, zero, one])])
        gradient = xp.einsum("ij,jk,lk->il", turn, xp.asarray(self.gradient), turn, **_highest(xp))
        offset = xp.einsum("ij,j->i", turn, xp.asarray(self.offset_field), **_highest(xp))
        return replace(self, gradient=gradient, offset_field=offset)

    def at(self, point: Numbers) -> "Scanner":
        """The scanner whose field-free point focus fields have moved to ``point`` (3,) [m]: homogeneous offset -G point.

        Raises:
            ValueError: the selection field is not linear, so that a homogeneous field does not simply move it.
        """
        if self.selection_field is not None:
            raise ValueError("at() moves an ideal field-free point; this scanner has a selection_field of its own.")
        point = as_leaf(point)
        check_shape("point", point, (3,))
        check_range("point", point, -10.0, 10.0, "m", "Positions are in meters.")
        return replace(self, offset_field=-self.gradient @ point)


def _highest(xp: Any) -> dict[str, str]:
    return {"precision": "highest"} if xp is jnp else {}


def _gradient_matrix(gradient: Numbers | None) -> Matrix3:
    gradient = as_leaf(gradient)
    if gradient.shape == (3,):
        gradient = gradient[:, None] * np.eye(3)
    check_shape("gradient", gradient, (3, 3))
    check_finite("gradient", gradient)
    check_range("gradient", gradient, -100.0, 100.0, "T/m", "Gradients are in T/m (mu0 H).")
    return gradient


def _trace_excess(gradient: Matrix3) -> float:
    peak = float(np.abs(gradient).max())
    return abs(float(np.trace(gradient))) / peak if peak else 0.0


def _build(
    gradient: Matrix3,
    offset_field: Numbers,
    receive_coils: Numbers | Sequence[Coil] | None,
    transfer_function: Matrix | None,
) -> Scanner:
    offset_field = as_leaf(offset_field)
    check_shape("offset_field", offset_field, (3,))
    check_range("offset_field", offset_field, -10.0, 10.0, "T")
    if hasattr(receive_coils, "field"):
        raise ValueError(f"receive_coils is a {type(receive_coils).__name__}; give a tuple of coils, (coil,) for one.")
    if isinstance(receive_coils, list | tuple) and any(hasattr(coil, "field") for coil in receive_coils):
        receive_coils = tuple(receive_coils)
        check_coils("receive_coils", receive_coils)
    elif receive_coils is not None:
        receive_coils = as_leaf(receive_coils)
        if receive_coils.ndim != 2 or receive_coils.shape[1] != 3 or not receive_coils.size:
            raise ValueError(
                f"receive_coils has shape {receive_coils.shape}; expected (channels, 3) sensitivities in 1/m of at least one "
                "channel, or a tuple of coils with a method field(points)."
            )
        check_finite("receive_coils", receive_coils)
    if transfer_function is not None:
        check_finite("transfer_function", transfer_function)
        if np.ndim(transfer_function) != 2:
            raise ValueError(f"transfer_function has shape {np.shape(transfer_function)}; expected (channels, bins).")
    return Scanner(gradient, offset_field, receive_coils, transfer_function)
