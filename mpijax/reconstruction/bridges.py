"""The system matrix as a linear operator of other libraries: a pair of functions, and a physics of deepinv.

Both take real images of concentrations, so the adjoint is the real part of S^H u: for real images x
Re <A x, u> = <x, A^* u>.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Complex, Float, Inexact, Matrix, Scalar
from mpijax.system import Grid, SystemMatrix


@pytree
class _Map:
    """A = S/``unit`` on the images of a grid."""

    rows: Matrix
    unit: Scalar
    grid: Grid

    def forward(self, image: Inexact[Array, "*batch z y x"]) -> Complex[jax.Array, "*batch m"]:
        """A c."""
        if jnp.iscomplexobj(image):
            raise ValueError(f"image is {image.dtype}; this pair takes real images, complex ones are matrix @ image.")
        if image.shape[-3:] != self.grid.shape[::-1]:
            raise ValueError(
                f"image has shape {image.shape}; expected (.., {', '.join(map(str, self.grid.shape[::-1]))})."
            )
        samples = image.reshape(*image.shape[:-3], self.grid.size) / jnp.asarray(self.unit, image.dtype)
        return jnp.matmul(samples.astype(jnp.result_type(samples, self.rows)), self.rows.T, precision="highest")

    def adjoint(self, data: Inexact[Array, "*batch m"]) -> Float[jax.Array, "*batch z y x"]:
        """The real part of A^H u."""
        if not data.ndim or data.shape[-1] != len(self.rows):
            raise ValueError(
                f"data has shape {data.shape}; expected (.., {len(self.rows)}), one value for each kept row."
            )
        back = jnp.matmul(data, self.rows.conj(), precision="highest").real
        return jnp.asarray(self.grid.to_image(back / jnp.asarray(self.unit, back.dtype)))


def linear_pair(
    matrix: SystemMatrix,
) -> tuple[Callable[[Array], jax.Array], Callable[[Array], jax.Array]]:
    """``forward, adjoint = linear_pair(matrix)``: what libraries of inverse problems ask of a linear operator.

    ``forward`` takes real images (.., nz, ny, nx) [mmol(Fe)/L] to the data of the kept rows (.., m), complex, as
    ``matrix @ image`` does; ``adjoint`` takes data (.., m) to real images, the real part of ``matrix.adjoint(data)``. The rows are
    picked and put on the device once. Both functions are pure, differentiable and pytrees: given to a compiled function as
    arguments, they bring their rows along.

    Args:
        matrix: the system matrix. The shapes are ``matrix.grid.shape[::-1]`` and ``(len(matrix.rows()),)``.

    Raises:
        TypeError: under jit with a row mask that is traced.
        ValueError: by the functions, for complex images, and for images or data of another shape.
    """
    operator = _Map(jnp.asarray(matrix.rows()), jnp.asarray(matrix.sample_unit), matrix.grid)
    return Partial(_Map.forward, operator), Partial(_Map.adjoint, operator)


def deepinv_physics(matrix: SystemMatrix, **options: Any) -> Any:
    """A ``deepinv.physics.LinearPhysics`` of the matrix, with which deepinv reconstructs and trains in torch.

    ``A`` takes images (b, 1, [nz,] ny, nx) [mmol(Fe)/L], axes of one voxel left out, to data (b, 2, m): real and imaginary part of
    the kept rows, so that deepinv's real scalar products and noise models hold. ``A_adjoint`` is its transpose. It computes in
    torch, so that torch differentiates it; rows in the memory of the host are shared with the matrix, not copied, until
    ``physics.to(device)`` moves them.

    Args:
        matrix: the system matrix, single precision for torch's default type.
        **options: of ``LinearPhysics``, such as ``noise_model``.

    Raises:
        ImportError: deepinv is not installed, or torch, which it needs.
    """
    try:
        import torch  # noqa: PLC0415  (an optional dependency)
        from deepinv.physics import LinearPhysics  # noqa: PLC0415
    except ImportError:
        raise ImportError(
            "a physics of deepinv needs deepinv and torch; install them with pip install deepinv."
        ) from None
    shape = tuple(n for n in matrix.grid.shape[::-1] if n > 1) or (1,)
    unit = float(matrix.sample_unit)

    class SystemMatrixPhysics(LinearPhysics):
        """u = S c/``sample_unit``, real and imaginary parts as two channels."""

        def __init__(self) -> None:
            super().__init__(img_size=(1, *shape), **options)
            self.register_buffer("rows", torch.from_dlpack(_on_host(matrix.rows())), persistent=False)

        def A(self, x: Any, **_: Any) -> Any:
            data = (x.reshape(len(x), -1) / unit).to(self.rows.dtype) @ self.rows.T
            return torch.view_as_real(data).movedim(-1, 1)

        def A_adjoint(self, y: Any, **_: Any) -> Any:
            data = torch.view_as_complex(y.movedim(1, -1).contiguous())
            return ((data @ self.rows.conj()).real / unit).reshape(len(y), 1, *shape)

    return SystemMatrixPhysics()


def _on_host(rows: Array) -> Any:
    """Rows that torch may share: NumPy's must be writable for that, though nobody writes to them."""
    if isinstance(rows, np.ndarray) and not rows.flags.writeable:
        return rows.copy()
    return rows
