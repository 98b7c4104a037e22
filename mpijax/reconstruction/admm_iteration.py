"""The iteration of ADMM for sparse images, in scaled variables and with one matrix product per step.

The problem is split as z = H x, with H x = (x, D x) and, under a bound of the residual, also sqrt(1 / rho) A x. With the
scaled dual u the usual three steps keep v = z + u only, because z = prox(v) and u = v - z (Douglas-Rachford form):

    z = prox(v),    x = (A^T A / rho + I + D^T D)^-1 (A^T b / rho + H^T (2 z - v)),    v += a (H x - z).

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

RELAXATION = 1.6
"""Over-relaxation a; 1.5 to 1.8 is usual (Boyd et al. 2011, section 3.4.3)."""
CHECK_EVERY = 10
"""Iterations between two looks at the residuals."""
FIRST_BALANCE = 20
"""Iterations before rho may first change; the distance doubles with every change, so that few inverses are made."""

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


class State(NamedTuple):
    """v = z + u of every split."""

    image: Any  # (frames, n)
    gradient: Any  # (frames, d, n) or None
    ball: Any  # y (frames, n) and c (frames,) of the residual's split, or None


class Split(NamedTuple):
    """z of every split; the one of the residual is ``factor`` times d, and comes as A^T d."""

    image: Any
    gradient: Any
    factor: Any
    back: Any


def normal_inverse(gram, rho, operator):
    """(A^T A / rho + I + D^T D)^-1 from one Cholesky factorization; D^T D is left out without an operator."""
    eye = jnp.eye(len(gram), dtype=gram.dtype)
    normal = gram / rho + eye
    if operator is not None:
        normal = normal + operator.matrix(gram.dtype)
    return cho_solve((jnp.linalg.cholesky(normal), True), eye)


def start(terms, operator):
    """v = 0 of all frames."""
    image = jnp.zeros_like(terms.back)
    return State(
        image,
        None if terms.tv is None else operator(image),
        None if terms.epsilon is None else (image, jnp.zeros_like(image[:, 0])),
    )


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
    return Split(image, gradient, factor, back)


def step(terms, operator, inverse, z, rho, state):
    """One iteration from v and its z: the new v, and x."""
    if state.ball is None:
        data = terms.back / rho
    else:
        data = terms.coupling * (terms.back + (2 * z.factor - 1)[:, None] * z.back)
    pull = data + 2 * z.image - state.image
    if state.gradient is not None:
        pull = pull + operator.adjoint(2 * z.gradient - state.gradient)
    x = rows(inverse, pull)
    image = state.image + RELAXATION * (x - z.image)
    gradient, ball = None, None
    if state.gradient is not None:
        gradient = state.gradient + RELAXATION * (operator(x) - z.gradient)
    if state.ball is not None:
        y, c = state.ball
        y = y + RELAXATION * (x - terms.center - z.factor[:, None] * y)
        ball = (y, c + RELAXATION * (1 - z.factor * c))
    return State(image, gradient, ball), x


def residuals(terms, operator, rho, old, new, state, x):
    """Relative primal |Hx - z| and dual |H^T (z - z_old)| residual per frame (Boyd et al. 2011, 3.3.1).

    The primal one is relative to the larger of |Hx| and |z|, the dual one to the larger of |u| as seen by x and the
    data's pull on x.
    """
    primal, size = _squared(x - new.image), jnp.maximum(_squared(x), _squared(new.image))
    change, dual = new.image - old.image, state.image - new.image
    pull = terms.back / rho
    if new.gradient is not None:
        slope = operator(x)
        primal += _squared(slope - new.gradient)
        size += jnp.maximum(_squared(slope), _squared(new.gradient))
        change += operator.adjoint(new.gradient - old.gradient)
        dual += operator.adjoint(state.gradient - new.gradient)
    if new.factor is not None:
        y, c = state.ball
        gap, _ = _distance(terms, x - terms.center - new.factor[:, None] * y, 1 - new.factor * c)
        primal += terms.coupling * jnp.square(gap)
        size += terms.coupling * jnp.square(terms.epsilon)
        change += terms.coupling * (new.factor[:, None] * new.back - old.factor[:, None] * old.back)
        pull = terms.coupling * (1 - new.factor)[:, None] * new.back
    return (
        _ratio(jnp.sqrt(primal), jnp.sqrt(size)),
        _ratio(jnp.sqrt(_squared(change)), jnp.sqrt(jnp.maximum(_squared(dual), _squared(pull)))),
    )


def rescale(state, z, factor):
    """v = z + factor u: the same z and unscaled dual for a rho divided by ``factor``."""
    ball = None
    if state.ball is not None:
        stretch = z.factor + factor * (1 - z.factor)
        ball = (state.ball[0] * stretch[:, None], state.ball[1] * stretch)
    gradient = None if state.gradient is None else z.gradient + factor * (state.gradient - z.gradient)
    return State(z.image + factor * (state.image - z.image), gradient, ball)


def iterate_fixed(terms, operator, inverse, rho, iterations, constraint, isotropic):
    """A fixed number of iterations, differentiable in reverse; the outcome as in ``iterate``."""
    prox = partial(split, terms, rho, constraint, isotropic)

    def body(state, _):
        return step(terms, operator, inverse, prox(state), rho, state)[0], None

    state, _ = lax.scan(body, start(terms, operator), None, length=iterations - 1)
    old = prox(state)
    state, x = step(terms, operator, inverse, old, rho, state)
    new = prox(state)
    return new, rho, jnp.asarray(iterations), residuals(terms, operator, rho, old, new, state, x)


def iterate(terms, operator, inverse, rho, iterations, tolerance, constraint, isotropic, balance):
    """Iterations until both residuals are below the tolerance; returns z, rho, the count and the residuals.

    rho is multiplied by the root of primal / dual where the two differ by more than 4 times.
    """
    bounded = terms.epsilon is not None
    prox = partial(split, terms, constraint=constraint, isotropic=isotropic)
    first_rho = rho

    def advance(carry, inverse):
        state, rho, count, due, _ = carry
        steps = jnp.minimum(CHECK_EVERY, iterations - count)

        def body(_, state):
            return step(terms, operator, inverse, prox(rho, state=state), rho, state)[0]

        state = lax.fori_loop(0, steps - 1, body, state)
        old = prox(rho, state=state)
        state, x = step(terms, operator, inverse, old, rho, state)
        found = residuals(terms, operator, rho, old, prox(rho, state=state), state, x)
        return state, rho, count + steps, due, found

    def running(carry):
        _, _, count, _, (primal, dual) = carry
        return (count < iterations) & jnp.any(jnp.maximum(primal, dual) > tolerance)

    def imbalance(carry):
        primal, dual = carry[4]
        tiny = jnp.finfo(primal.dtype).tiny
        return jnp.exp(0.5 * jnp.mean(jnp.log(jnp.maximum(primal, tiny)) - jnp.log(jnp.maximum(dual, tiny))))

    def unbalanced(carry):
        change = imbalance(carry)
        return (carry[2] >= carry[3]) & (jnp.maximum(change, 1 / change) > 2)

    def stage(carry):
        rho = carry[1]
        current = inverse
        if balance and not bounded:
            current = lax.cond(rho == first_rho, lambda: inverse, lambda: normal_inverse(terms.gram, rho, operator))
        keep_on = (lambda c: running(c) & ~unbalanced(c)) if balance else running
        carry = lax.while_loop(keep_on, lambda c: advance(c, current), carry)
        if not balance:
            return carry
        state, rho, count, due, found = carry
        change = jnp.where(running(carry), jnp.clip(imbalance(carry), 0.1, 10), 1)
        z = prox(rho, state=state)
        return rescale(state, z, 1 / change), rho * change, count, 2 * count, found

    unknown = jnp.full_like(terms.back[:, 0], jnp.inf)
    carry = (start(terms, operator), rho, jnp.asarray(0), jnp.asarray(FIRST_BALANCE), (unknown, unknown))
    state, rho, count, _, found = lax.while_loop(running, stage, carry)
    return prox(rho, state=state), rho, count, found


def rows(symmetric, x):
    """A symmetric matrix applied to every row of x: products with columns are the faster ones."""
    return matmul(symmetric, x.T).T


def _distance(terms, y, c):
    """|d| and A^T d of d = A y - c b_rest, by one product with A^T A."""
    back = rows(terms.gram, y) - c[:, None] * terms.back_rest
    squared = jnp.sum(y * (back - c[:, None] * terms.back_rest), axis=-1) + jnp.square(c) * terms.energy_rest
    return jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0), back


def _squared(values):
    return jnp.sum(jnp.square(values), axis=tuple(range(1, values.ndim)))


def _ratio(value, size):
    return jnp.where(size > 0, value / jnp.where(size > 0, size, 1), 0)
