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
        assert found == pytest.approx(float(getattr(theirs, name)(tf.constant(Z), tf.constant(q))), rel=1e-5)
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
