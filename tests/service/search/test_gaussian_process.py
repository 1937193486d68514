"""Gaussian processes against direct computations."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.stats import norm

from service.search.gaussian_process import (
    Array,
    Evidence,
    Hyperparameters,
    Posterior,
    fit_hyperparameters,
    log_expected_improvement,
    packed,
    standardised,
)

SHAPE = Hyperparameters((0.4, 1.5, 0.8), (False, False, True), 1.3, 0.02)


def mixed(count: int, seed: int) -> Array:
    """Points with a number, a number that does not always apply, and a choice that does not always apply."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.random(count), random.random(count), random.integers(0, 3, count)])
    x[random.random(count) < 0.3, 1] = np.nan
    x[random.random(count) < 0.3, 2] = np.nan
    return x


def covariance(a: Array, b: Array, shape: Hyperparameters = SHAPE) -> float:
    """The covariance of two points, written as the module's text says it."""
    square = 0.0
    for p, q, length, is_unordered in zip(a, b, shape.lengths, shape.unordered, strict=True):
        if is_unordered:
            apart = float(not (p == q or (math.isnan(p) and math.isnan(q))))
        elif math.isnan(p) or math.isnan(q):
            inside = [value for value in (p, q) if not math.isnan(value)]
            apart = (inside[0] - 0.5) ** 2 + 0.25 if inside else 0.0
        else:
            apart = (p - q) ** 2
        square += apart / length**2
    r = math.sqrt(square)
    return shape.signal_variance * (1 + math.sqrt(5) * r + 5 / 3 * r**2) * math.exp(-math.sqrt(5) * r)


def dense(x: Array, z: Array) -> Array:
    return np.array([[covariance(a, b) for b in z] for a in x])


def direct(x: Array, y: Array, z: Array) -> tuple[Array, Array]:
    inverse = np.linalg.inv(dense(x, x) + SHAPE.noise_variance * np.eye(len(x)))
    across = dense(x, z)
    variance = SHAPE.signal_variance - np.einsum("nm,nk,km->m", across, inverse, across)
    return across.T @ inverse @ y, np.sqrt(variance)


def assert_close(found: tuple[Array, Array], expected: tuple[Array, Array]) -> None:
    np.testing.assert_allclose(found[0], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-8)


@pytest.mark.parametrize("count", [0, 1, 25])
def test_the_posterior_is_that_of_a_direct_computation(count: int) -> None:
    x, y, z = mixed(count, 1), np.random.default_rng(2).standard_normal(count), mixed(9, 3)
    expected = direct(x, y, z) if count else (np.zeros(9), np.full(9, math.sqrt(SHAPE.signal_variance)))
    assert_close(Posterior(SHAPE, x, y).predict(z), expected)


def test_conditioning_later_is_conditioning_at_once() -> None:
    x, y, z = mixed(25, 1), np.random.default_rng(2).standard_normal(25), mixed(9, 3)
    grown = Posterior(SHAPE, x[:18], y[:18]).conditioned(x[18:20], y[18:20]).conditioned(x[20:], y[20:])
    assert_close(grown.predict(z), direct(x, y, z))


def test_a_number_that_never_failed_to_apply_may_fail_to_later() -> None:
    x, y, z = mixed(25, 1), np.random.default_rng(2).standard_normal(25), mixed(9, 3)
    order = np.argsort(np.isnan(x[:, 1]), kind="stable")
    x, y = x[order], y[order]
    grown = Posterior(SHAPE, x[:10], y[:10]).conditioned(x[10:], y[10:])
    assert_close(grown.predict(z), direct(x, y, z))


def test_believing_keeps_means_and_takes_uncertainty() -> None:
    x, y, pending = mixed(25, 1), np.random.default_rng(2).standard_normal(25), mixed(4, 5)
    before = Posterior(SHAPE, x, y)
    after = before.conditioned(pending)
    z = mixed(50, 3)
    np.testing.assert_allclose(after.predict(z)[0], before.predict(z)[0], atol=1e-9)
    assert (after.predict(z)[1] <= before.predict(z)[1] + 1e-12).all()
    assert (after.predict(pending)[1] < 0.5 * before.predict(pending)[1]).any()
    told = before.conditioned(pending, before.predict(pending)[0])
    assert_close(after.predict(z), told.predict(z))


def test_the_covariance_of_mixed_points_is_positive() -> None:
    x = mixed(200, 7)
    assert np.linalg.eigvalsh(dense(x, x)).min() > -1e-10


def test_coinciding_points_do_no_harm() -> None:
    x = np.repeat(mixed(10, 1), 20, axis=0)
    y = standardised(np.random.default_rng(2).standard_normal(200))
    shape = fit_hyperparameters(x, y, SHAPE.unordered)
    mean, deviation = Posterior(shape, x, y).predict(x)
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_is_that_of_the_loss(seed: int) -> None:
    random = np.random.default_rng(seed)
    evidence = Evidence(mixed(30, seed), random.standard_normal(30), SHAPE.unordered)
    theta = evidence.centre + random.standard_normal(5)
    size = float(np.linalg.norm(evidence.loss(theta)[1]))
    assert check_grad(lambda t: evidence.loss(t)[0], lambda t: evidence.loss(t)[1], theta) < 1e-5 * max(size, 1.0)


def test_the_loss_is_the_density_of_the_targets_and_the_prior() -> None:
    x, y = mixed(30, 1), np.random.default_rng(2).standard_normal(30)
    evidence = Evidence(x, y, SHAPE.unordered)
    full = dense(x, x) + SHAPE.noise_variance * np.eye(30)
    likelihood = y @ np.linalg.solve(full, y) / 2 + np.linalg.slogdet(full)[1] / 2
    means = [-0.8 + math.log(3) / 2] * 3 + [0.0, -4.0]
    prior = (((packed(SHAPE) - means) / [0.6, 0.6, 0.6, 1.0, 1.0]) ** 2).sum() / 2
    assert evidence.loss(packed(SHAPE))[0] == pytest.approx(likelihood + prior)


def test_a_function_is_recovered_and_what_matters_is_learnt() -> None:
    random = np.random.default_rng(0)
    x, z = random.random((120, 4)), random.random((200, 4))
    x[:, 3], z[:, 3] = random.integers(0, 3, 120), random.integers(0, 3, 200)

    def function(points: Array) -> Array:
        offsets: Array = np.array([0.0, 1.0, -1.0])[points[:, 3].astype(int)]
        return np.asarray(np.sin(6 * points[:, 0]) + points[:, 1] + offsets)

    unordered = (False, False, False, True)
    y = function(x) + 0.05 * random.standard_normal(120)
    shape = fit_hyperparameters(x, y, unordered)
    mean, deviation = Posterior(shape, x, y).predict(z)
    errors = mean - function(z)
    assert np.abs(errors).max() < 0.3
    assert (np.abs(errors) < 2 * deviation).mean() > 0.9
    assert shape.lengths[0] < shape.lengths[1] < shape.lengths[2]
    assert 0.0005 < shape.noise_variance < 0.01


def test_fits_are_repeatable_and_survive_json() -> None:
    x, y = mixed(40, 1), standardised(np.random.default_rng(2).standard_normal(40))
    shape = fit_hyperparameters(x, y, SHAPE.unordered)
    assert fit_hyperparameters(x, y, SHAPE.unordered) == shape
    kept = json.loads(json.dumps(asdict(shape)))
    assert Hyperparameters(**kept | {"lengths": tuple(kept["lengths"]), "unordered": tuple(kept["unordered"])}) == shape


def test_a_good_start_needs_no_steps() -> None:
    x, y = mixed(40, 1), standardised(np.random.default_rng(2).standard_normal(40))
    evidence = Evidence(x, y, SHAPE.unordered)
    cold, warm = (
        fit_hyperparameters(x, y, SHAPE.unordered, start=start, max_iterations=1)
        for start in (None, fit_hyperparameters(x, y, SHAPE.unordered))
    )
    assert evidence.loss(packed(warm))[0] < evidence.loss(packed(cold))[0]


@pytest.mark.parametrize(
    ("x", "y", "unordered"),
    [
        (np.zeros((3, 2)), np.zeros(2), (False, False)),
        (np.zeros((3, 2)), np.zeros(3), (False,)),
        (np.zeros((3, 2)), np.array([0.0, math.inf, 1.0]), (False, False)),
    ],
)
def test_what_does_not_fit_together_is_refused(x: Array, y: Array, unordered: tuple[bool, ...]) -> None:
    with pytest.raises(ValueError, match="expected x"):
        fit_hyperparameters(x, y, unordered)


def test_too_little_noise_is_told() -> None:
    shape = Hyperparameters((1.0,), (False,), 1.0, 0.0)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite in row 2"):
        Posterior(shape, np.zeros((2, 1)), np.zeros(2))


def test_standardised_keeps_the_order_and_the_proportions_of_the_better_half() -> None:
    losses = np.array([0.5, 0.1, 0.2, 1e9, 0.3, 0.4, 2.0, 1e9])
    targets = standardised(losses)
    assert targets.mean() == pytest.approx(0)
    assert targets.std() == pytest.approx(1)
    assert (np.argsort(targets, kind="stable") == np.argsort(losses, kind="stable")).all()
    assert targets[3] == targets[7]
    assert targets.max() < 3
    assert targets[4] - targets[2] == pytest.approx(targets[2] - targets[1])


@pytest.mark.parametrize("losses", [[3.0], [2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 5.0], [5e-324, 5e-324, 1e-323]])
def test_standardised_takes_equal_losses(losses: list[float]) -> None:
    targets = standardised(np.array(losses))
    assert np.isfinite(targets).all()
    assert (targets[0] == targets[: len(losses) - 1]).all()


@pytest.mark.parametrize("z", [3.0, 0.0, -0.9, -1.1, -3.0, -6.0])
def test_expected_improvement_is_the_integral(z: float) -> None:
    mean, deviation = 0.7, 0.2
    best = mean + z * deviation
    gain, _ = quad(lambda y: (best - y) * norm.pdf(y, mean, deviation), best - 10, best, points=[best - 0.01], epsabs=0)
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), best)[0]
    assert found == pytest.approx(math.log(gain), abs=1e-6)


def test_expected_improvement_is_smooth_and_finite_far_away() -> None:
    for seam, slope in ((-1.0, 1.9046), (-1000.0, 1000.0)):
        below, above = log_expected_improvement(-seam * np.array([1 + 1e-9, 1 - 1e-9]), np.ones(2), 0.0)
        assert above - below == pytest.approx(-seam * 2e-9 * slope, rel=1e-3)
    far = log_expected_improvement(np.array([1e3, 1e5, 1e10]), np.ones(3), 0.0)
    assert np.isfinite(far).all()
    assert (np.diff(far) < 0).all()
    # φ(z)/z² is the leading term.
    assert far[1] == pytest.approx(-5e9 - math.log(2 * math.pi) / 2 - 2 * math.log(1e5))
