"""Attention-Guided Deep Adversarial Temporal Subspace Clustering in TensorFlow/Keras (arXiv 2510.18004)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from methods.a_datsc_tf.adversary import SubspaceJudge
from methods.a_datsc_tf.clustering import annealed, balance, first_clusters, redundancy, tempered
from methods.a_datsc_tf.network import Generator, compared, expressed
from methods.a_datsc_tf.sequences import Days, day_after_day
from methods.blocks.keras.clustering import ClusteringLayer, soft_assignment, target_distribution
from methods.blocks.keras.runtime import start
from methods.blocks.keras.training import SEQUENCES, Trainer
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

Loss = Callable[[tf.Tensor], Mapping[str, tf.Tensor]]


class Plugin(Method):
    """ConvLSTM U-Net with graph attention, clustering head, self-expression and bases of the clusters."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        for name, value in BUILT.items():
            if self.params[name] != value:
                raise ValueError(f"{name} is {self.params[name]!r}; in TensorFlow only {value!r} is built, use a_datsc")
        start()
        return Training(self, cube).fit(cube)


class Training:
    """One fit: its parts, and the schedule of the paper's section 5.4.

    Parameters
    ----------
    plugin : Plugin
        Settings.
    cube : Cube
        Its days.
    """

    def __init__(self, plugin: Plugin, cube: Cube) -> None:
        self.p = p = SimpleNamespace(**plugin.params)
        self.k, self.seed, self.progress = plugin.n_clusters, plugin.seed, plugin.progress
        self.noise = tf.random.Generator.from_seed(sub_seed(self.seed, "skip dropout"))
        self.days = Days(cube, p)
        self.G = Generator(self.days.frames.shape[1:], p, self.seed)
        self.D = SubspaceJudge(self.k, cube.n_days, p, self.seed)
        self.embed = self.days.embedded_by(self.G)

    def fit(self, cube: Cube) -> Fit:
        """Warm up, start clusters and bases, train all together, and read off the labels."""
        history = self.warm_up()
        history["embedding_norm"] = [float(np.linalg.norm(self.start()))]
        for name, series in self.train_jointly().items():
            history[name] = history.get(name, []) + series
        return self.result(cube, history)

    def start(self) -> np.ndarray:
        """Start centres, bases and the first target from one partition, and return the embeddings."""
        Z, C = self.embed()
        source = C if self.p.clusters_from == "expression" else None
        labels, centres = first_clusters(Z, source, self.k, self.seed, self.p.n_init)
        self.head = ClusteringLayer(centres)
        self.D.start(Z, labels)
        self.first_target = tf.one_hot(labels, self.k)
        self.q = tf.Variable(self.head(Z), trainable=False)  # of all days, as they were last seen
        return Z

    def warm_up(self) -> dict[str, list[float]]:
        """Train the generator for reconstruction alone, on stretches of days."""
        p, n_days = self.p, len(self.days.frames)
        if p.warmup_epochs == 0:
            return {}
        size = min(p.warmup_days or n_days, n_days)
        each_pass = ceil(n_days / (size * p.warmup_batch))

        def loss(days: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.gather(self.days.frames, tf.ensure_shape(days, (None, size)))
            return {"reconstruction": self.days.error(self.G(x, self.dropped(x))[2], x)}

        return self.trainer(loss, p.warmup_lr, self.G.variables, p.clip_norm).run(
            self.days.stretches(size, p.warmup_batch, np.random.default_rng(sub_seed(self.seed, "order of days"))),
            p.warmup_epochs * each_pass,
            name="warm-up",
            progress=self.progress,
            log_every=p.look_every * each_pass,
        )

    def train_jointly(self) -> dict[str, list[float]]:
        """Let G and D move in turn, and look at the labels now and then."""
        p, batches = self.p, self.days.batches()
        if p.joint_epochs == 0:
            return {}
        n_batches = len(self.days.groups)
        n_steps, done = p.joint_epochs * n_batches, 0
        self.make_players(n_steps)
        history: dict[str, list[float]] = {}
        labels = self.labels(self.embed()[0])
        while done < n_steps:
            n = min(p.look_every * n_batches, n_steps - done)
            rounds = [self.round(next(batches)) for _ in range(n)]
            done += n
            self.progress("clustering", done, n_steps)
            Z = self.embed()[0]
            before, labels = labels, self.labels(Z)
            found = {name: float(np.mean([terms[name] for terms in rounds])) for name in rounds[0]} | {
                "labels_changed": float(np.mean(labels != before)),
                "embedding_norm": float(np.linalg.norm(Z)),
                "temperature": float(annealed(p.temperature, done / n_steps)),
            }
            found |= {f"share_of_cluster_{k}": float((labels == k).mean()) for k in range(self.k)}
            for name, value in found.items():
                history.setdefault(name, []).append(value)
        return history

    def make_players(self, n_steps: int) -> None:
        """Make what moves the generator, and what moves the discriminator.

        In a round, both see the same embeddings and assignments of the same sequences.
        """
        p = self.p
        self.steps = tf.Variable(0.0, trainable=False)
        self.judged = tf.Variable(tf.zeros((self.q.shape[0], p.latent)), trainable=False)
        self.assigned = tf.Variable(tf.zeros_like(self.q), trainable=False)

        def mislead(days: tf.Tensor) -> dict[str, tf.Tensor]:
            self.steps.assign_add(1.0)
            return self.losses(days, self.steps / n_steps)

        def judge(days: tf.Tensor) -> dict[str, tf.Tensor]:
            own = tf.reshape(days, [-1])
            found = self.D.loss(tf.gather(self.judged, own), tf.gather(self.assigned, own), own)
            return {"discriminator": found, **self.D.penalties()}

        weights = [*self.G.variables, *self.head.trainable_variables]
        self.of_G = self.trainer(mislead, p.joint_lr, weights, p.clip_norm)
        self.of_D = self.trainer(judge, p.discriminator_lr, [self.D.U])

    def round(self, days: tf.Tensor) -> dict[str, list[float]]:
        """Move the generator, then, if it has a weight, the discriminator, and return their losses."""
        once = {"n_steps": 1, "name": "clustering", "progress": lambda *_: None}
        terms = self.of_G.run(iter([days]), **once)
        if self.p.lambda_adv:
            terms |= self.of_D.run(iter([days]), **once)
            self.D.retract()
        return terms

    def losses(self, days: tf.Tensor, progress: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the terms of Eq. 6 for sequences of days, (batch, time)."""
        p, own = self.p, tf.reshape(days, [-1])
        x = tf.gather(self.days.frames, days)
        Z, C, frames = self.G(x, self.dropped(x))
        z = day_after_day(Z)
        q = self.head(z)
        self.q.scatter_update(tf.IndexedSlices(tf.stop_gradient(q), own))
        target = tf.where(progress <= p.first_target, self.first_target, target_distribution(self.q))
        soft = tempered(q, annealed(p.temperature, progress))
        self.judged.scatter_update(tf.IndexedSlices(tf.stop_gradient(z), own))
        self.assigned.scatter_update(tf.IndexedSlices(tf.stop_gradient(soft), own))
        begun = tf.cast(progress >= p.expression_start, tf.float32)
        terms = {
            "reconstruction": p.lambda_rec * self.days.error(frames, x),
            "kl": p.lambda_kl * keras.losses.KLDivergence()(tf.gather(target, own), q),
        }
        if p.lambda_bal:
            weight = p.lambda_bal * tf.minimum(progress / p.balance_ramp, 1.0)
            terms |= {"balance": weight * balance(soft), "redundancy": weight * redundancy(soft)}
        if p.lambda_se:
            X = compared(Z, p.neighbours)
            penalty = p.sparsity * tf.reduce_sum(tf.abs(C)) + p.ridge * tf.reduce_sum(tf.square(C))
            left = tf.reduce_sum(tf.square(X - C @ X)) + penalty
            terms["self_expression"] = p.lambda_se * begun * left / tf.cast(tf.size(own), tf.float32)
        if p.lambda_adv:
            terms["adversarial"] = p.lambda_adv * begun * self.D.fake_energy(z, soft, own)
        return terms

    def trainer(self, loss: Loss, rate: float, variables: list, clip_norm: float | None = None) -> Trainer:
        """Return what takes steps of Adam, with torch's epsilon, on sequences of days."""
        return Trainer(loss, keras.optimizers.Adam(rate, epsilon=1e-8), variables, clip_norm, SEQUENCES)

    def dropped(self, x: tf.Tensor) -> tf.Tensor:
        """Draw the sequences of which the decoder knows Z alone."""
        return self.noise.uniform(tf.shape(x)[:1]) < self.p.skip_dropout

    def labels(self, Z: np.ndarray) -> np.ndarray:
        """Return the most likely cluster of each day."""
        return soft_assignment(Z, self.head.centres.numpy().astype(np.float64)).argmax(axis=1)

    def result(self, cube: Cube, history: dict[str, list[float]]) -> Fit:
        """Return labels, and what they come from."""
        p = self.p
        Z, C = self.embed()
        labels = self.labels(Z)
        others: dict[str, np.ndarray] = {}
        if C is not None:
            spectral = cut(plain_affinity(C), self.k, self.seed)
            of_days = expressed(tf.constant(cube.table[None]), p)[0].numpy()
            others = {"raw_data": cut(plain_affinity(of_days), self.k, self.seed)}
            others |= {"argmax": labels} if p.refine else {"spectral": spectral}
            labels = spectral if p.refine else labels
        trained = [*self.G.variables, self.head.centres, *([self.D.U] if p.lambda_adv else [])]
        return Fit(
            labels=labels,
            embedding=Z,
            self_expression=C,
            reconstruction=self.days.reconstructed_by(self.G, cube),
            other_labels=others,
            history=history,
            n_parameters=sum(int(np.prod(weight.shape)) for weight in trained),
            epochs=p.warmup_epochs + p.joint_epochs,
            stop_reason="number of epochs reached" if p.joint_epochs else "no steps asked for",
        )
