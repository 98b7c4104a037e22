"""What ADMM can be told, with penalties or with a denoiser."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from mpijax.reconstruction.solvers.settings import Array, Equations, Found, Penalties, Regularized


@dataclass(frozen=True)
class L1:
    r"""weight |x|_1 of :class:`Admm`.

    .. math:: \|x\|_1 = \sum_i |x_i|

    Source: Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1, section 6; in MPI: TranSMS paper, eq. 3.
    """

    weight: float | Array


@dataclass(frozen=True)
class TV:
    r"""weight TV(x), the total variation, of :class:`Admm`.

    .. math:: \mathrm{TV}(x) = \sum_i \sqrt{\sum_d (D_d\, x)_i^2} \quad\text{or}\quad \sum_{i, d} |(D_d\, x)_i|

    with the differences D_d along the axes of :class:`FiniteDifference`, isotropic or not.

    Source: Rudin, Osher, Fatemi, Physica D 60 (1992) 259; in MPI: TranSMS paper, eq. 3.
    """

    weight: float | Array


@dataclass(frozen=True)
class Admm(Regularized):
    """Images of least penalty that explain the data, the penalty L1 norm and total variation as a rule. See :func:`admm`.

    Attributes:
        l1: share of the L1 norm in the penalty, >= 0; not given = 0.8, or 0 beside ``penalties``.
        tv: share of the total variation, >= 0; not given = 0.2, or 0 beside ``penalties``.
        epsilon: bounds the residual instead of penalizing it, and lambda plays no part: noise (the norm that the noise is expected
            to have) or a number, the norm of the weighted residual.
        penalties: what the penalty is made of: ``L1(weight)``, ``TV(weight)``, which are ``l1`` and ``tv`` afterwards, and objects
            with ``prox(x, step)``; see :func:`admm`.
        regularization: lambda, which multiplies all shares; not given = 0.001.
        relative: lambda is relative to the L1 weight from which on the image is zero; otherwise as it is.
        constraint: on the image: nonnegative, real or none, which is real.
        rho: first penalty parameter; not given = chosen and balanced.
        iterations: at most.
        tolerance: relative residual at which to stop.
        isotropic: which total variation.

    Source: Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1; the bounded problem for MPI in the TranSMS paper, eq. 3.
    """

    DEFAULT = 1e-3
    SHARES: ClassVar = {"l1": 0.8, "tv": 0.2}
    """The constrained form of A. Gungor et al. (TranSMS), IEEE Trans. Med. Imaging 41 (2022) 3562, section IV-D, has 0.95 and 0.05,
    of which only the ratio matters; it suits phantoms of single dots."""

    l1: float | Array | None = None
    tv: float | Array | None = None
    epsilon: float | str | Array | None = None
    penalties: Penalties = ()
    regularization: float | Array | None = None
    relative: bool = True
    constraint: str | None = "nonnegative"
    rho: float | Array | None = None
    iterations: int = 5000
    tolerance: float | None = 1e-4
    isotropic: bool = True

    by_frame = True
    """Every frame is a problem of its own; they share the relative lambda, rho and the last iteration."""
    row_sums = True
    """Rows enter sums alone."""

    @property
    def needs_noise(self) -> bool:
        """Whether the images depend on what the noise of a measurement is said to be."""
        return isinstance(self.epsilon, str)

    def __post_init__(self) -> None:
        if not isinstance(self.penalties, tuple | list):
            raise ValueError(f"penalties = {self.penalties}; give them in a tuple, a single one as (penalty,).")
        for name, kind in (("l1", L1), ("tv", TV)):
            own = [
                penalty.weight
                for penalty in self.penalties
                if isinstance(penalty, L1 | TV) and isinstance(penalty, kind)
            ]
            share = getattr(self, name)
            if own and share is not None:
                raise ValueError(f"{name} = {share} and {own[0]} among the penalties; give it once.")
            default = 0.0 if self.penalties else self.SHARES[name]
            object.__setattr__(self, name, sum(own) if own else default if share is None else share)
        others = tuple(penalty for penalty in self.penalties if not isinstance(penalty, L1 | TV))
        object.__setattr__(self, "penalties", others)
        if self.epsilon is None:
            super().__post_init__()
        else:
            object.__setattr__(self, "regularization", None)

    def check(self) -> None:
        """Raise ValueError for shares, a bound, a constraint or a lambda that cannot be."""
        from mpijax.core.checks import check_choice, check_count, check_shape
        from mpijax.reconstruction.inputs import CONSTRAINTS
        from mpijax.reconstruction.solvers.admm.factor import check_nonnegative

        if isinstance(self.epsilon, str) and self.epsilon != "noise":
            raise ValueError(f"epsilon = {self.epsilon!r}; give 'noise' or a number.")
        numbers = {"l1": self.l1, "tv": self.tv, "regularization": self.regularization}
        for name, share in numbers.items():
            if share is not None:
                check_shape(name, share, ())
                check_nonnegative(name, share)
        if self.epsilon not in (None, "noise"):
            check_nonnegative("epsilon", self.epsilon)
        check_count("iterations", self.iterations)
        check_choice("constraint", self.constraint, CONSTRAINTS)

    def over_blocks(self, blocks: Iterable[Equations]) -> "Admm":
        """The solver whose relative lambda is that of all frames together, for frames that come in blocks."""
        from mpijax.reconstruction.solvers.admm.minimizer import penalty_scale

        if self.regularization is None or not self.relative:
            return self
        import numpy as np

        most = max(float(np.max(penalty_scale(*equations))) for equations in blocks)
        return replace(self, regularization=self.regularization * most, relative=False)

    def prepare(self, equations: Equations) -> Any:
        """Equations and the factors of the normal matrix."""
        from mpijax.reconstruction.solvers.admm.factor import admm_factor
        from mpijax.reconstruction.solvers.admm.minimizer import is_zero

        self.check()
        bounded = self.epsilon is not None
        factors = admm_factor(
            equations.matrix,
            equations.image_shape,
            total_variation=not (is_zero(self.tv) or is_zero(self.regularization)),
            bounded=bounded,
            rho=None if bounded else self.rho,
            row_weights=equations.row_weights,
            penalties=self.penalties,
        )
        return equations, factors

    def solve(self, prepared: Any, data: Array) -> Found:
        """The penalized form, all shares times lambda, or the bounded form, where only their ratio matters."""
        from mpijax.core.solution import Solution
        from mpijax.reconstruction.solvers.admm.minimizer import admm_solve, scaled_shares

        equations, factors = prepared
        chosen: dict[str, Any] = {"l1": self.l1, "tv": self.tv}
        options: dict[str, Any] = {"constraint": self.constraint or "real", "penalties": self.penalties}
        if self.epsilon is None:
            (l1, tv), factor = scaled_shares(equations, data, (self.l1, self.tv), self.regularization, self.relative)
            chosen = {"l1": l1.number(), "tv": tv.number()}
            options |= {"l1": l1, "tv": tv, "factor": factor}
        else:
            chosen["epsilon"] = equations.noise_norm() if self.epsilon == "noise" else self.epsilon
            options |= chosen
        for name in ("rho", "iterations", "tolerance", "isotropic"):
            options[name] = getattr(self, name)
        found = admm_solve(factors, data, **options)
        return Solution(found.value, {**found.stats, **chosen})


@dataclass(frozen=True)
class PlugAndPlay(Regularized):
    """ADMM with a denoiser in the place of a penalty. See :func:`plug_and_play`.

    Attributes:
        denoiser: function of an image (nz, ny, nx) and a strength.
        regularization: lambda; not given = 0.001.
        relative: lambda is relative to the L1 weight from which on the image is zero; otherwise as it is.
        rho: penalty parameter; it sets the step and, with lambda, the strength.
        iterations: how many.
        relaxation: between 0 and 2; 1 is plain ADMM.

    Source: Venkatakrishnan et al., IEEE GlobalSIP (2013) 945.
    """

    DEFAULT = 1e-3

    denoiser: Callable[..., Array]
    regularization: float | Array | None = None
    relative: bool = True
    rho: float | Array = 0.01
    iterations: int = 100
    relaxation: float = 1.0

    by_frame = True
    """Every frame is a problem of its own; they share the relative lambda."""

    def prepare(self, equations: Equations) -> Any:
        """The equations; what the denoiser works on is made with the data."""
        self.check()
        return equations

    def solve(self, prepared: Any, data: Array) -> Found:
        """All iterations on all frames."""
        from mpijax.reconstruction.solvers.admm.minimizer import scaled_shares
        from mpijax.reconstruction.solvers.denoised import plug_and_play

        (_, factor) = scaled_shares(prepared, data, (), self.regularization, self.relative)
        return plug_and_play(
            prepared.matrix,
            data,
            prepared.image_shape,
            self.denoiser,
            regularization=factor,
            row_weights=prepared.row_weights,
            rho=self.rho,
            iterations=self.iterations,
            relaxation=self.relaxation,
        )
