"""A-DATSC: the generator and its self-expression; what the twin and the plugin report."""

from __future__ import annotations

import pytest


def test_torch_and_keras_agree(agree):
    agree("A-DATSC")


def test_coefficients_agree(parity):
    """C of the same embeddings, and what they are compared by."""
    import numpy as np
    import tensorflow as tf
    import torch

    from methods.a_datsc import self_expression as in_torch
    from methods.a_datsc_tf import network as in_keras

    Z = np.random.default_rng(0).standard_normal((2, 30, 6)).astype(np.float32) + 3
    for few in (2, 3):
        found = in_torch.compared(torch.tensor(Z[:, :few]), 0.5), in_keras.compared(tf.constant(Z[:, :few]), 0.5)
        np.testing.assert_allclose(*found, atol=1e-6)
    assert not np.any(in_keras.compared(tf.constant(Z[:, :1]), 0.5))  # one day is the mean of its window
    for neighbours, ridge in ((0.0, 0.0), (0.5, 2.0)):
        X, theirs = in_torch.compared(torch.tensor(Z), neighbours), in_keras.compared(tf.constant(Z), neighbours)
        np.testing.assert_allclose(X, theirs, atol=1e-6)
        C = in_torch.coefficients(X, 0.1, ridge, 100)
        assert (C != 0).double().mean() > 0.1
        np.testing.assert_allclose(C, in_keras.coefficients(theirs, 0.1, ridge, 100), atol=1e-4)


def test_discriminators_agree(parity):
    """Energies, hinge and penalties of the same bases and embeddings."""
    from types import SimpleNamespace

    import numpy as np
    import tensorflow as tf
    import torch

    from methods.a_datsc.adversary import SubspaceJudge as InTorch
    from methods.a_datsc_tf.adversary import SubspaceJudge as InKeras

    rng = np.random.default_rng(0)
    Z, logits = rng.standard_normal((40, 6)).astype(np.float32), rng.standard_normal((40, 3))
    q = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    settings = {"rank": 2, "n_fakes": 5, "margin": 0.1, "real_share": 0.5}
    p = SimpleNamespace(latent=6, orthogonality=1.0, separation=1.0, **settings)
    theirs = InKeras(3, 40, p, seed=0)
    theirs.start(Z, q.argmax(axis=1))
    ours = InTorch(3, 6, n_days=40, noise=torch.Generator(), **settings)
    ours.start(torch.tensor(Z), torch.tensor(q.argmax(axis=1)))
    theirs.U.assign(theirs.U + 0.1 * rng.standard_normal(theirs.U.shape).astype(np.float32))
    with torch.no_grad():
        ours.subspaces.U.copy_(torch.tensor(theirs.U.numpy()))
        ours.alpha.copy_(torch.tensor(theirs.alpha.numpy()))
    days = torch.arange(40)
    for name in ("loss", "fake_energy"):
        found = getattr(ours, name)(torch.tensor(Z), torch.tensor(q), days).item()
        assert found == pytest.approx(
            float(getattr(theirs, name)(tf.constant(Z), tf.constant(q), tf.range(40))), rel=1e-5
        )
    penalties = theirs.penalties()
    assert ours.subspaces.skewness().item() == pytest.approx(float(penalties["skewness"]), rel=1e-4)
    assert ours.subspaces.overlap().item() == pytest.approx(float(penalties["overlap"]), rel=1e-4)
    ours.retract()
    theirs.retract()
    np.testing.assert_allclose(ours.subspaces.U.detach(), theirs.U.numpy(), atol=1e-5)


def test_bases_of_embeddings_that_are_zero_are_numbers(parity):
    """A field that is zero every day has such embeddings."""
    from types import SimpleNamespace

    import numpy as np

    from methods.a_datsc_tf.adversary import SubspaceJudge

    p = SimpleNamespace(rank=2, n_fakes=5, latent=6)
    judge = SubspaceJudge(3, 40, p, seed=0)
    judge.start(np.zeros((40, 6), np.float32), np.arange(40) % 3)
    assert np.isfinite(judge.U.numpy()).all()


@pytest.mark.parametrize(
    ("n_days", "window", "together"), [(60, 60, 1), (60, 365, 4), (60, 20, 2), (59, 29, 1), (60, 7, 3)]
)
def test_days_are_cut_into_the_same_windows(n_days, window, together, parity):
    from types import SimpleNamespace

    from methods.a_datsc.sequences import Sequences
    from methods.a_datsc_tf.sequences import Days
    from regimebench.method_checks import tiny_cube

    p = SimpleNamespace(filters=[4, 8], patch=[2, 1], window=window, windows_per_batch=together, count_padding=False)
    cube = tiny_cube(n_days, 7, 10)
    ours, theirs = Sequences(cube, window, together, [4, 2], False), Days(cube, p)
    assert [group.tolist() for group in ours.groups] == [group.numpy().tolist() for group in theirs.groups]
    assert (ours.frames.movedim(1, 3).numpy() == theirs.frames.numpy()).all()
    assert (ours.seen.movedim(0, 2).numpy() == theirs.seen.numpy()).all()


def test_a_record_of_several_windows_is_fitted(parity):
    """The last window is one day; days of two windows have no coefficients, so no labels come from them."""
    import numpy as np

    from regimebench import registry
    from regimebench.method import check_fit
    from regimebench.method_checks import tiny_cube

    spec, cube = registry.method("a_datsc_tf"), tiny_cube(59)
    chosen = {**spec.parameters, **spec.smoke, "window": 29, "windows_per_batch": 1, "warmup_epochs": 2}
    fit = check_fit(registry.load(spec)(n_clusters=3, seed=0, **chosen).fit(cube), 59, 3)
    assert (fit.self_expression, fit.other_labels) == (None, {})
    assert fit.reconstruction.shape == cube.values.shape
    assert all(len(fit.history[name]) == 2 and np.isfinite(fit.history[name]).all() for name in ("kl", "discriminator"))
