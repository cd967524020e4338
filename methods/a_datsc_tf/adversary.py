"""Sampling layer and energy-based subspace discriminator of A-DATSC (paper, sections 5.1.5 and 5.2) in TensorFlow.

Clusters are masks over days, so that shapes stay as they are while days change their cluster.
"""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from methods.blocks.streams import sub_seed


class SubspaceJudge:
    """A basis for each cluster, its real embeddings, and fakes made of them.

    Parameters
    ----------
    n_clusters, n_days : int
        Clusters and days.
    p : SimpleNamespace
        The plugin's parameters.
    seed : int
        The run's seed, for the weights of fakes, which stay.
    """

    def __init__(self, n_clusters: int, n_days: int, p: SimpleNamespace, seed: int) -> None:
        self.p, self.rank = p, min(p.rank, p.latent)
        alpha = np.random.default_rng(sub_seed(seed, "alpha")).random((p.n_fakes, n_days))
        self.alpha = tf.constant(alpha, tf.float32)
        self.U = keras.Variable(np.zeros((n_clusters, p.latent, self.rank), np.float32))
        self.used = tf.Variable(tf.zeros((n_clusters, 1, self.rank)), trainable=False)

    def start(self, Z: np.ndarray, labels: np.ndarray) -> None:
        """Make each basis the leading singular directions of its cluster's embeddings at length 1."""
        U, used = np.zeros(self.U.shape, np.float32), np.zeros(self.used.shape, np.float32)
        for k in np.unique(labels):
            own = tf.math.l2_normalize(Z[labels == k], axis=1).numpy()
            directions = np.linalg.svd(own, full_matrices=False)[2][: self.rank].T
            U[k, :, : directions.shape[1]], used[k, 0, : directions.shape[1]] = directions, 1
        self.U.assign(U)
        self.used.assign(used)

    def retract(self) -> None:
        """Make the bases orthonormal again after a step."""
        Q, R = tf.linalg.qr(self.U)
        self.U.assign(Q * tf.sign(tf.linalg.diag_part(R))[:, None] * self.used)

    def penalties(self) -> dict[str, tf.Tensor]:
        """Return what keeps columns at right angles, and bases apart, with their weights."""
        columns = tf.reshape(tf.transpose(self.U * self.used, (1, 0, 2)), (self.U.shape[1], -1))
        k = self.U.shape[0]
        products = tf.reshape(tf.transpose(columns) @ columns, (k, self.rank, k, self.rank))
        own = tf.einsum("krks->krs", products)
        skewness = tf.reduce_sum(tf.square(own - tf.linalg.diag(self.used[:, 0])))
        overlap = tf.reduce_sum(tf.square(products)) - tf.reduce_sum(tf.square(own))
        return {"skewness": self.p.orthogonality * skewness, "overlap": self.p.separation * overlap}

    def loss(self, Z: tf.Tensor, q: tf.Tensor, days: tf.Tensor) -> tf.Tensor:
        """Return the hinge of L_D, mean over clusters, of some days (n,): their Z (n, D) and q (n, k)."""
        on_basis, of_fakes, members, valid = self._energies(Z, q, days)
        counts = tf.reduce_sum(members, axis=0)
        n_real = tf.maximum(tf.math.ceil(self.p.real_share * counts), tf.cast(self.rank + 1, tf.float32))
        order = tf.argsort(tf.where(members > 0, q, -1.0), axis=0, direction="DESCENDING", stable=True)
        places = tf.cast(tf.argsort(order, axis=0), tf.float32)
        real = members * tf.cast(places < n_real, tf.float32)
        hinge = tf.nn.relu(on_basis - of_fakes + self.p.margin) * real
        return _mean_of(tf.reduce_sum(hinge, axis=0) / tf.maximum(tf.reduce_sum(real, axis=0), 1), valid)

    def fake_energy(self, Z: tf.Tensor, q: tf.Tensor, days: tf.Tensor) -> tf.Tensor:
        """Return L_adv, mean over clusters of the mean energy of fakes."""
        _, of_fakes, _, valid = self._energies(Z, q, days)
        return _mean_of(of_fakes, valid)

    def _energies(self, Z: tf.Tensor, q: tf.Tensor, days: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return energies (day, k), mean energy of fakes (k), members (day, k) and whether a cluster counts (k)."""
        z = tf.math.l2_normalize(Z, axis=1)
        members = tf.one_hot(tf.argmax(q, axis=1), q.shape[1])
        bases = tf.math.l2_normalize(self.U * self.used, axis=1)
        fakes = tf.math.l2_normalize(
            tf.einsum("rn,nk,nd->krd", tf.gather(self.alpha, days, axis=1), members, z), axis=2
        )
        enough = tf.reduce_sum(members, axis=0) >= self.rank + 1
        valid = tf.cast(enough, tf.float32) * tf.reduce_max(self.used[:, 0], axis=1)
        of_fakes = tf.reduce_mean(_left(fakes, bases), axis=1)
        return tf.transpose(_left(z[None], bases)), of_fakes, members, valid


def _left(z: tf.Tensor, U: tf.Tensor) -> tf.Tensor:
    """Return the residual energy of each row on each basis, (k, row)."""
    return tf.reduce_sum(tf.square(z - (z @ U) @ tf.transpose(U, (0, 2, 1))), axis=2)


def _mean_of(values: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values * valid) / tf.maximum(tf.reduce_sum(valid), 1)
