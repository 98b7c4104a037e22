"""The iteration of ADMM for sparse images, in scaled variables and with one matrix product per step.

The problem is split as z = H x, with H x = (x, D x) and, under a bound of the residual, also sqrt(1 / rho) A x. With the
scaled dual u the usual three steps keep v = z + u only, because z = prox(v) and u = v - z (Douglas-Rachford form):

    z = prox(v),    x = (A^T A / rho + I + D^T D)^-1 (A^T b / rho + H^T (2 z - v)),    v += a (H x - z).

Every further penalty f(K x) adds K x to H x and K^T K to the inverse (``Term``).

Here A is real: real parts of the weighted rows, then imaginary parts, in units of (about) its spectral norm; b is in
units of its norm, frame by frame. So the squares of tiny signals do not underflow and rho of order one is reasonable.

The bound |A x - b| <= epsilon needs no vector with an entry per row. The split variable of the residual remains a
combination d = A y - c b of its start, so that its norm comes from A^T A. To keep digits in that norm, x and b are
counted from an image near the solution (``center``), where the remaining data are as small as the noise.
"""

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_solve

from mpijax.reconstruction.prox import (
    ball_factor,
    group_soft_threshold,
    nonnegative_soft_threshold,
    soft_threshold,
)
from mpijax.reconstruction.solvers.admm.penalties import operator_of

RELAXATION = 1.6
"""Over-relaxation a; 1.5 to 1.8 is usual (Boyd et al. 2011, section 3.4.3)."""
CHECK_EVERY = 10
"""Iterations between two looks at the residuals."""
FIRST_BALANCE = 20
"""Iterations before rho may first change; the distance doubles with every change, so that few inverses are made."""

FLOOR = 0.01
"""Smallest scale of the residuals, see ``residuals``."""

matmul = partial(jnp.matmul, precision="highest")


class Terms(NamedTuple):
    """The problem of all frames in scaled variables; ``None`` where a term is absent."""

    gram: Any  # (n, n) A^T A
    back: Any  # (frames, n) A^T b
    l1: Any  # (frames, 1)
    tv: Any  # (frames, 1, 1) or None
    epsilon: Any  # (frames,) or None
    coupling: Any  # weight of the residual's split, the 1 / rho of the inverse
    center: Any  # (frames, n), or None without epsilon
    back_rest: Any  # (frames, n) A^T (b - A center)
    energy_rest: Any  # (frames,) |b - A center|^2
    others: tuple[Any, ...] = ()  # further penalties


class State(NamedTuple):
    """v = z + u of every split."""

    image: Any  # (frames, n)
    gradient: Any  # (frames, d, n) or None
    ball: Any  # y (frames, n) and c (frames,) of the residual's split, or None
    others: tuple[Any, ...] = ()


class Split(NamedTuple):
    """z of every split; the one of the residual is ``factor`` times d, and comes as A^T d."""

    image: Any
    gradient: Any
    factor: Any
    back: Any
    others: tuple[Any, ...] = ()


class Iterate(NamedTuple):
    """What one iteration leaves: v, the z before it and after it, and x."""

    state: State
    old: Split
    z: Split
    x: Any


class Progress(NamedTuple):
    """The state of the outer loop."""

    now: Iterate
    rho: Any
    count: Any
    due: Any  # the count from which on rho may change
    residuals: Any  # (primal, dual), (frames,) each


def normal_inverse(gram, rho, operator, penalties=()):
    """(A^T A / rho + I + D^T D + sum K^T K)^-1 from one Cholesky factorization; D^T D is left out without an operator."""
    eye = jnp.eye(len(gram), dtype=gram.dtype)
    normal = gram / rho + eye
    if operator is not None:
        normal = normal + operator.matrix(gram.dtype)
    for further in map(operator_of, penalties):
        normal = normal + (eye if further is None else further.matrix(gram.dtype))
    return cho_solve((jnp.linalg.cholesky(normal), True), eye)


def start(terms, operator):
    """v = z = 0 of all frames."""
    image = jnp.zeros_like(terms.back)
    gradient = None if terms.tv is None else operator(image)
    if terms.epsilon is None:
        others = tuple(term.image(image) for term in terms.others)
        return Iterate(State(image, gradient, None, others), *2 * (Split(image, gradient, None, None, others),), image)
    zero = jnp.zeros_like(image[:, 0])
    z = Split(image, gradient, jnp.ones_like(zero), image)
    return Iterate(State(image, gradient, (image, zero)), z, z, image)


def split(terms, rho, constraint, isotropic, state):
    """z = prox(v)."""
    shrink = nonnegative_soft_threshold if constraint == "nonnegative" else soft_threshold
    image, gradient, factor, back = shrink(state.image, terms.l1 / rho), None, None, None
    if state.gradient is not None:
        shrink = group_soft_threshold if isotropic else soft_threshold
        gradient = shrink(state.gradient, terms.tv / rho)
    if state.ball is not None:
        distance, back = _distance(terms, *state.ball)
        factor = ball_factor(distance, terms.epsilon)
    others = tuple(term.prox(v, rho) for term, v in zip(terms.others, state.others, strict=True))
    return Split(image, gradient, factor, back, others)


def advance(terms, operator, inverse, rho, constraint, isotropic, now):
    """One iteration."""
    state, z = now.state, now.z
    if state.ball is None:
        data = terms.back / rho
    else:
        data = terms.coupling * (terms.back + (2 * z.factor - 1)[:, None] * z.back)
    pull = data + 2 * z.image - state.image
    if state.gradient is not None:
        pull = pull + operator.adjoint(2 * z.gradient - state.gradient)
    splits = list(zip(terms.others, state.others, z.others, strict=True))
    for term, v, own in splits:
        pull = pull + term.adjoint(2 * own - v)
    x = rows(inverse, pull)
    image = state.image + RELAXATION * (x - z.image)
    gradient, ball = None, None
    if state.gradient is not None:
        gradient = state.gradient + RELAXATION * (operator(x) - z.gradient)
    if state.ball is not None:
        y, c = state.ball
        y = y + RELAXATION * (x - terms.center - z.factor[:, None] * y)
        ball = (y, c + RELAXATION * (1 - z.factor * c))
    others = tuple(v + RELAXATION * (term.image(x) - own) for term, v, own in splits)
    state = State(image, gradient, ball, others)
    return Iterate(state, z, split(terms, rho, constraint, isotropic, state), x)


def residuals(terms, operator, rho, now):
    """Relative primal |Hx - z| and dual |H^T (z - z_old)| residual per frame (Boyd et al. 2011, 3.3.1).

    The primal one is relative to the larger of |Hx| and |z|, the dual one to the larger of |u| as seen by x and the
    data's pull on x. Both scales have a floor, a hundredth of the data's pull or of the thresholds, so that an image of
    zeros converges.
    """
    state, old, new, x = now
    primal, size = _squared(x - new.image), jnp.maximum(_squared(x), _squared(new.image))
    change, dual = new.image - old.image, state.image - new.image
    pull = terms.back / rho
    if new.gradient is not None:
        slope = operator(x)
        primal += _squared(slope - new.gradient)
        size += jnp.maximum(_squared(slope), _squared(new.gradient))
        change += operator.adjoint(new.gradient - old.gradient)
        dual += operator.adjoint(state.gradient - new.gradient)
    for term, v, before, own in zip(terms.others, state.others, old.others, new.others, strict=True):
        part = term.image(x)
        primal += _squared(part - own)
        size += jnp.maximum(_squared(part), _squared(own))
        change += term.adjoint(own - before)
        dual += term.adjoint(v - own)
    if new.factor is not None:
        y, c = state.ball
        gap, _ = _distance(terms, x - terms.center - new.factor[:, None] * y, 1 - new.factor * c)
        primal += terms.coupling * jnp.square(gap)
        size += terms.coupling * jnp.square(terms.epsilon)
        change += terms.coupling * (new.factor[:, None] * new.back - old.factor[:, None] * old.back)
        pull = terms.coupling * (1 - new.factor)[:, None] * new.back
    thresholds = terms.l1[:, 0] if terms.tv is None else terms.l1[:, 0] + terms.tv[:, 0, 0]
    size = jnp.maximum(size, jnp.square(FLOOR) * _squared(terms.back))
    dual = jnp.maximum(jnp.maximum(_squared(dual), _squared(pull)), jnp.square(FLOOR * thresholds / rho))
    return _root_ratio(primal, size), _root_ratio(_squared(change), dual)


def rescale(now, factor):
    """v = z + factor u: the same z and the same unscaled dual for a rho divided by ``factor``."""
    state, z = now.state, now.z
    gradient, ball = None, None
    if state.gradient is not None:
        gradient = z.gradient + factor * (state.gradient - z.gradient)
    if state.ball is not None:
        stretch = z.factor + factor * (1 - z.factor)  # of d, while the shortened d stays
        ball = (state.ball[0] * stretch[:, None], state.ball[1] * stretch)
        z = z._replace(factor=z.factor / or_one(stretch), back=z.back * stretch[:, None])
    others = tuple(own + factor * (v - own) for v, own in zip(state.others, z.others, strict=True))
    return now._replace(state=State(z.image + factor * (state.image - z.image), gradient, ball, others), z=z)


def iterate_fixed(terms, operator, inverse, rho, iterations, constraint, isotropic):
    """A fixed number of iterations, differentiable in reverse; the outcome as in ``iterate``."""

    def body(now, _):
        return advance(terms, operator, inverse, rho, constraint, isotropic, now), None

    now, _ = lax.scan(body, start(terms, operator), None, length=iterations)
    return now.z, rho, jnp.asarray(iterations), residuals(terms, operator, rho, now)


def iterate(terms, operator, inverse, rho, iterations, tolerance, constraint, isotropic, balance):
    """Iterations until both residuals are below the tolerance; returns z, rho, the count and the residuals.

    With ``balance``, rho is multiplied by the root of primal / dual residual where the two differ by more than four
    times. In the penalized form another rho needs another inverse; a bound keeps its own.
    """
    first_rho, needs_inverse = rho, balance and terms.epsilon is None

    def running(progress):
        return (progress.count < iterations) & jnp.any(jnp.maximum(*progress.residuals) > tolerance)

    def imbalance(progress):
        """Root of primal / dual, its geometric mean over the frames that are not done; 1 while unknown."""
        primal, dual = progress.residuals
        tiny = jnp.finfo(primal.dtype).tiny
        going = jnp.isfinite(primal) & (jnp.maximum(primal, dual) > tolerance)
        logs = jnp.where(going, jnp.log(jnp.maximum(primal, tiny)) - jnp.log(jnp.maximum(dual, tiny)), 0)
        return jnp.exp(0.5 * jnp.sum(logs) / jnp.maximum(jnp.sum(going), 1))

    def balanced(progress):
        change = imbalance(progress)
        return (progress.count < progress.due) | (jnp.maximum(change, 1 / change) <= 2)

    def some_steps(inverse, progress):
        steps = jnp.minimum(CHECK_EVERY, iterations - progress.count)
        one = partial(advance, terms, operator, inverse, progress.rho, constraint, isotropic)
        now = lax.fori_loop(0, steps, lambda _, now: one(now), progress.now)
        found = residuals(terms, operator, progress.rho, now)
        return progress._replace(now=now, count=progress.count + steps, residuals=found)

    def stage(progress):
        """All steps with one rho."""
        rho, current = progress.rho, inverse
        if needs_inverse:
            make = partial(normal_inverse, terms.gram, rho, operator, [term.penalty for term in terms.others])
            current = lax.cond(rho == first_rho, lambda: inverse, make)
        keep_on = (lambda p: running(p) & balanced(p)) if balance else running
        progress = lax.while_loop(keep_on, partial(some_steps, current), progress)
        if not balance:
            return progress
        change = jnp.where(running(progress), jnp.clip(imbalance(progress), 0.1, 10), 1)
        return progress._replace(now=rescale(progress.now, 1 / change), rho=rho * change, due=2 * progress.count)

    unknown = jnp.full_like(terms.back[:, 0], jnp.inf)
    count, due = jnp.asarray(0), jnp.asarray(FIRST_BALANCE)
    progress = Progress(start(terms, operator), rho, count, due, (unknown, unknown))
    progress = lax.while_loop(running, stage, progress)
    return progress.now.z, progress.rho, progress.count, progress.residuals


def rows(symmetric, x):
    """A symmetric matrix applied to every row of x: products with columns are the faster ones."""
    return matmul(symmetric, x.T).T


def _distance(terms, y, c):
    """|d| and A^T d of d = A y - c b_rest, by one product with A^T A."""
    back = rows(terms.gram, y) - c[:, None] * terms.back_rest
    squared = jnp.sum(y * (back - c[:, None] * terms.back_rest), axis=-1) + jnp.square(c) * terms.energy_rest
    return jnp.where(squared > 0, jnp.sqrt(or_one(squared)), 0), back


def or_one(value):
    """A divisor that is one where the value is zero."""
    return jnp.where(value > 0, value, 1)


def _squared(values):
    return jnp.sum(jnp.square(values), axis=tuple(range(1, values.ndim)))


def _root_ratio(value, size):
    return jnp.sqrt(jnp.where(size > 0, value / or_one(size), 0))
