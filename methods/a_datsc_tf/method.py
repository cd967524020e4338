"""Attention-Guided Deep Adversarial Temporal Subspace Clustering in TensorFlow/Keras (arXiv 2510.18004)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from math import ceil
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from scipy.linalg import block_diag

from methods.a_datsc_tf.adversary import SubspaceJudge
from methods.a_datsc_tf.network import Generator, compared, expressed
from methods.blocks.keras.clustering import ClusteringLayer, kmeans, soft_assignment
from methods.blocks.keras.runtime import start
from methods.blocks.keras.training import DAY_INDICES, Trainer
from methods.blocks.spectral import cut, plain_affinity
from methods.blocks.streams import sub_seed
from regimebench.method import Cube, Fit, Method

BUILT = {
    "recurrence": "convlstm",
    "attention": "bi_tgat",
    "itself": True,
    "expression": True,
    "pooling": "linear",
    "bottleneck": "days",
    "skips": True,
    "head": "student_t",
}
"""The network that is built here; the ablations exist in torch alone."""


class Plugin(Method):
    """ConvLSTM U-Net with graph attention, clustering head, self-expression and bases of the clusters."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        for name, value in BUILT.items():
            if self.params[name] != value:
                raise ValueError(f"{name} is {self.params[name]!r}; in TensorFlow only {value!r} is built, use a_datsc")
        p = SimpleNamespace(**self.params)
        start()
        days = Days(cube, p)
        self.noise = tf.random.Generator.from_seed(sub_seed(self.seed, "skip dropout"))
        G = Generator(days.x.shape[2:], p, self.seed)
        embed = tf.function(lambda: G.embed(days.x))
        history = self._warm_up(G, days)
        Z, C = embed()
        Z = _flat(Z).numpy()
        labels, centres = self._first_clusters(Z, C.numpy())
        head = ClusteringLayer(centres)
        D = SubspaceJudge(self.n_clusters, cube.n_days, p, self.seed)
        D.start(Z, labels)
        history["embedding_norm"] = [float(np.linalg.norm(Z))]
        first = tf.one_hot(labels, self.n_clusters)
        for name, series in self._train_jointly(G, D, head, first, days, lambda: _flat(embed()[0]).numpy()).items():
            history[name] = history.get(name, []) + series
        Z, C = embed()
        Z, C = _flat(Z).numpy(), block_diag(*C.numpy())
        spectral = cut(plain_affinity(C), self.n_clusters, self.seed)
        of_days = expressed(tf.constant(cube.table[None]), p)[0].numpy()
        controls = {"raw_data": cut(plain_affinity(of_days), self.n_clusters, self.seed)}
        argmax = _labels(Z, head)
        trained = [*G.variables, head.centres, *([D.U] if p.lambda_adv else [])]
        return Fit(
            labels=spectral if p.refine else argmax,
            embedding=Z,
            self_expression=C,
            reconstruction=days.on_the_grid_of(cube, tf.function(lambda: _flat(G(days.x)[2]))().numpy()),
            other_labels=controls | ({"argmax": argmax} if p.refine else {"spectral": spectral}),
            history=history,
            n_parameters=sum(int(np.prod(weight.shape)) for weight in trained),
            epochs=p.warmup_epochs + p.joint_epochs,
            stop_reason="number of epochs reached" if p.joint_epochs else "no steps asked for",
        )

    def _first_clusters(self, Z: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels with which clusters start, and their means."""
        k = self.n_clusters
        if len(C) == 1 and self.params["clusters_from"] == "expression":
            labels = cut(plain_affinity(C[0]), k, self.seed)
            if len(np.unique(labels)) == k:
                return labels, np.stack([Z[labels == cluster].mean(axis=0) for cluster in range(k)])
        found = kmeans(Z, k, self.seed, self.params["n_init"])
        return found.labels_, found.cluster_centers_

    def _dropped(self, x: tf.Tensor) -> tf.Tensor:
        """Draw the sequences of which the decoder knows Z alone."""
        return self.noise.uniform(tf.shape(x)[:1]) < self.params["skip_dropout"]

    def _warm_up(self, G: Generator, days: Days) -> dict[str, list[float]]:
        """Train for reconstruction alone."""
        p = SimpleNamespace(**self.params)
        if p.warmup_epochs == 0:
            return {}
        n_days = len(days.frames)
        size = min(p.warmup_days or n_days, n_days)
        each_pass = ceil(n_days / (size * p.warmup_batch))

        def loss(chosen: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.gather(days.frames, tf.reshape(chosen, (-1, size)))
            return {"reconstruction": days.error(G(x, self._dropped(x))[2], x)}

        return Trainer(loss, keras.optimizers.Adam(p.warmup_lr, epsilon=1e-8), G.variables, p.clip_norm).run(
            _stretches(n_days, size, p.warmup_batch, np.random.default_rng(sub_seed(self.seed, "order of days"))),
            p.warmup_epochs * each_pass,
            name="warm-up",
            progress=self.progress,
            log_every=p.look_every * each_pass,
        )

    def _train_jointly(
        self,
        G: Generator,
        D: SubspaceJudge,
        head: ClusteringLayer,
        first: tf.Tensor,
        days: Days,
        codes: Callable[[], np.ndarray],
    ) -> dict[str, list[float]]:
        """Let G and D move in turn under the schedules of the paper's section 5.4."""
        p = SimpleNamespace(**self.params)
        if p.joint_epochs == 0:
            return {}
        step = tf.Variable(0.0, trainable=False)
        n_days = len(days.frames)  # D sees the embeddings and assignments of G's step
        judged = tf.Variable(tf.zeros((n_days, p.latent)), trainable=False)
        assigned = tf.Variable(tf.zeros((n_days, self.n_clusters)), trainable=False)

        def tempered(q: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
            return tf.nn.softmax(tf.math.log(q) / _annealed(p.temperature, progress), axis=1)

        def loss(_: tf.Tensor) -> dict[str, tf.Tensor]:
            step.assign_add(1.0)
            progress = step / p.joint_epochs
            Z, C, frames = G(days.x, self._dropped(days.x))
            q = head(_flat(Z))
            target = tf.square(q) / tf.reduce_sum(q, axis=0)
            target = tf.stop_gradient(target / tf.reduce_sum(target, axis=1, keepdims=True))
            target = tf.where(progress <= p.first_target, first, target)
            soft = tempered(q, progress)
            judged.assign(_flat(Z))
            assigned.assign(soft)
            terms = {
                "reconstruction": p.lambda_rec * days.error(frames, days.x),
                "kl": p.lambda_kl * keras.losses.KLDivergence()(target, q),
            }
            if p.lambda_bal:
                weight = p.lambda_bal * tf.minimum(progress / p.balance_ramp, 1.0)
                terms |= {"balance": weight * _balance(soft), "redundancy": weight * _redundancy(soft)}
            if p.lambda_se:
                weight = p.lambda_se * tf.cast(progress >= p.expression_start, tf.float32)
                X = compared(Z, p.neighbours)
                penalty = p.sparsity * tf.reduce_sum(tf.abs(C)) + p.ridge * tf.reduce_sum(tf.square(C))
                left = tf.reduce_sum(tf.square(X - C @ X)) + penalty
                terms["self_expression"] = weight * left / tf.cast(tf.size(X[:, :, 0]), tf.float32)
            if p.lambda_adv:
                weight = p.lambda_adv * tf.cast(progress >= p.expression_start, tf.float32)
                terms["adversarial"] = weight * D.fake_energy(_flat(Z), soft)
            return terms

        def judge(_: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"discriminator": D.loss(judged, assigned), **D.penalties()}

        of_G = Trainer(
            loss,
            keras.optimizers.Adam(p.joint_lr, epsilon=1e-8),
            [*G.variables, *head.trainable_variables],
            p.clip_norm,
        )
        of_D = Trainer(judge, keras.optimizers.Adam(p.discriminator_lr, epsilon=1e-8), [D.U])
        history: dict[str, list[float]] = {}
        labels, done = _labels(codes(), head), 0
        while done < p.joint_epochs:
            n = min(p.look_every, p.joint_epochs - done)
            rounds = []
            for _ in range(n):
                terms = of_G.run(days.all(), 1, name="clustering", progress=lambda *_: None)
                if p.lambda_adv:
                    terms |= of_D.run(days.all(), 1, name="clustering", progress=lambda *_: None)
                    D.retract()
                rounds.append(terms)
            found = {name: [float(np.mean([terms[name] for terms in rounds]))] for name in rounds[0]}
            done += n
            self.progress("clustering", done, p.joint_epochs)
            Z = codes()
            before, labels = labels, _labels(Z, head)
            found |= {
                "labels_changed": [float(np.mean(labels != before))],
                "embedding_norm": [float(np.linalg.norm(Z))],
                "temperature": [float(_annealed(p.temperature, done / p.joint_epochs))],
            }
            for k, size in enumerate(np.bincount(labels, minlength=self.n_clusters)):
                found[f"share_of_cluster_{k}"] = [float(size / len(labels))]
            for name, series in found.items():
                history.setdefault(name, []).extend(series)
        return history


class Days:
    """All days as one batch of windows (batch, time, y, x, variable), filled up to a grid that halves at each level.

    Parameters
    ----------
    cube : Cube
        Its own padding is taken off first.
    p : SimpleNamespace
        Parameters of the method.

    Raises
    ------
    ValueError
        If the days cannot be cut into windows of one length that fit one batch.
    """

    def __init__(self, cube: Cube, p: SimpleNamespace) -> None:
        window = min(p.window, cube.n_days)
        if cube.n_days % window or cube.n_days // window > p.windows_per_batch:
            raise ValueError(
                f"{cube.n_days} days in windows of {window}, {p.windows_per_batch} in a batch; in TensorFlow all days "
                "must be in one batch of equal windows, use a_datsc"
            )
        days = cube.unpadded()
        self.size = days.mask.shape[:2]
        edges = [
            (0, -size % (2 ** (len(p.filters) - 1) * patch)) for size, patch in zip(self.size, p.patch, strict=True)
        ]
        frames = np.pad(days.values, [(0, 0), *edges, (0, 0)])
        self.frames = tf.constant(frames)
        self.x = tf.reshape(self.frames, (-1, window, *frames.shape[1:]))
        counted = np.ones_like(days.mask) if p.count_padding else days.mask
        seen = np.pad(counted, [*edges, (0, 0)], constant_values=p.count_padding)
        self.seen = tf.constant(seen.astype(np.float32))

    def all(self) -> repeat:
        """Return the days of a batch without end: all of them."""
        return repeat(tf.range(self.x.shape[0] * self.x.shape[1], dtype=DAY_INDICES.dtype))

    def error(self, found: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Return the mean squared error over cells with data."""
        squares = tf.reduce_sum(tf.square(found - frames) * self.seen)
        return squares / (tf.reduce_sum(self.seen) * tf.cast(tf.reduce_prod(tf.shape(frames)[:2]), tf.float32))

    def on_the_grid_of(self, cube: Cube, frames: np.ndarray) -> np.ndarray:
        """Return frames in the shape of ``cube``; 0 in cells that pad it."""
        found = np.zeros_like(cube.values)
        height, width = self.size
        found[:, :height, :width] = frames[:, :height, :width]
        return found


def _stretches(n_days: int, size: int, together: int, shuffle: np.random.Generator) -> Iterator[tf.Tensor]:
    """Yield the days of some stretches that cover the record, one after another, each pass cut elsewhere."""
    while True:
        cut = shuffle.integers(size)
        starts = np.unique(np.arange(cut - size, n_days, size).clip(0, n_days - size))
        order = shuffle.permutation(starts)
        for some in np.split(order, range(together, len(order), together)):
            yield tf.constant((some[:, None] + np.arange(size)).ravel(), DAY_INDICES.dtype)


def _flat(x: tf.Tensor) -> tf.Tensor:
    """Return (batch, time, ...) day after day."""
    return tf.reshape(x, (-1, *x.shape[2:]))


def _labels(Z: np.ndarray, head: ClusteringLayer) -> np.ndarray:
    return soft_assignment(Z, head.centres.numpy().astype(np.float64)).argmax(axis=1)


def _annealed(temperature: list[float], progress: tf.Tensor | float) -> tf.Tensor | float:
    return temperature[0] * (temperature[1] / temperature[0]) ** progress


def _balance(q: tf.Tensor) -> tf.Tensor:
    share = tf.reduce_mean(q, axis=0)
    return tf.reduce_sum(share * tf.math.log(share * share.shape[0]))


def _redundancy(q: tf.Tensor) -> tf.Tensor:
    k = q.shape[1]
    centred = q - tf.reduce_mean(q, axis=0)
    unit = centred / tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(centred), axis=0), keras.config.epsilon()))
    squares = tf.square(tf.transpose(unit) @ unit)
    return (tf.reduce_sum(squares) - tf.reduce_sum(tf.linalg.diag_part(squares))) / max(k * (k - 1), 1)
