"""Deep Embedded Clustering (Xie et al., ICML 2016) and IDEC (Guo et al., IJCAI 2017) in TensorFlow/Keras."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from methods.blocks.keras.clustering import ClusteringLayer, kmeans, self_train
from methods.blocks.keras.dense import autoencoder, denoising_pairs
from methods.blocks.keras.runtime import INITIALISERS, apply_in_batches, n_weights, seeds, start
from methods.blocks.keras.training import Trainer, batches, sgd
from methods.blocks.streams import sub_seed
from regimebench.method import Cube, Fit, Method

DAYS_AT_ONCE = 1024  # where nothing is trained


class Plugin(Method):
    """Auto-encoder, k-means on its code, then KL self-training of encoder and centres (IDEC: and of the decoder)."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        start()
        p = SimpleNamespace(**self.params)
        x = tf.constant(unit_scale(cube.table) if p.scale_input else cube.table)
        n_days = len(x)
        weights = sub_seed(self.seed, "weights") if p.shared_initialiser else seeds(self.seed, "weights")
        encoder, decoder = autoencoder(x.shape[1], [*p.hidden, p.code], INITIALISERS[p.initialiser](weights))

        def codes() -> np.ndarray:
            return apply_in_batches(lambda days: encoder(tf.gather(x, days)), n_days, DAYS_AT_ONCE)

        history = self._pretrain(encoder, decoder, x)
        first = kmeans(codes(), self.n_clusters, self.seed, p.n_init)
        head = ClusteringLayer(first.cluster_centers_)
        target = tf.Variable(tf.zeros((n_days, self.n_clusters)), trainable=False)
        divergence, squared_error = keras.losses.KLDivergence(), keras.losses.MeanSquaredError()

        def loss(days: tf.Tensor) -> dict[str, tf.Tensor]:
            some = tf.gather(x, days)
            z = encoder(some)
            terms = {"clustering": p.gamma * divergence(tf.gather(target, days), head(z))}
            if p.keep_decoder:
                terms["reconstruction"] = squared_error(some, decoder(z))
            return terms

        trained = [encoder, decoder, head] if p.keep_decoder else [encoder, head]
        variables = [weight for part in trained for weight in part.trainable_variables]
        found = self_train(
            codes,
            head,
            Trainer(loss, sgd(p.cluster_lr, p.cluster_momentum), variables, p.clip_norm),
            target,
            batches(n_days, p.batch_size),
            first.labels_,
            update_interval=p.update_interval,
            max_steps=p.max_steps,
            tol=p.tol,
            reset_momentum=p.reset_momentum,
            progress=self.progress,
        )
        steps = p.layer_steps * (len(p.hidden) + 1) + p.joint_steps + found.steps
        return Fit(
            labels=found.labels,
            embedding=codes(),
            history={**history, **found.history},
            n_parameters=n_weights(*trained),
            epochs=round(steps / -(-n_days // p.batch_size)),
            stop_reason=found.stop_reason,
        )

    def _pretrain(self, encoder: keras.Sequential, decoder: keras.Sequential, x: tf.Tensor) -> dict[str, list[float]]:
        """Train layer by layer with corruption, then all layers without (section 3.2); either may have 0 steps."""
        p = SimpleNamespace(**self.params)
        order = np.random.default_rng(sub_seed(self.seed, "order of days"))
        history: dict[str, list[float]] = {}

        def train(name: str, network: keras.Sequential, data: tf.Tensor, n_steps: int) -> None:
            squared_error = keras.losses.MeanSquaredError()

            def loss(days: tf.Tensor) -> dict[str, tf.Tensor]:
                clean = tf.gather(data, days)
                return {name: squared_error(clean, network(clean, training=True))}

            trainer = Trainer(loss, sgd(p.pretrain_lr, p.momentum, p.decay_steps), network.trainable_variables)
            days = batches(len(data), p.batch_size, order)
            history.update(trainer.run(days, n_steps, name=name, progress=self.progress))

        if p.layer_steps:
            noise = sub_seed(self.seed, "corruption")
            pairs = denoising_pairs(encoder, decoder, p.corruption, p.input_corruption, noise)
            below = x
            for level, (layer, pair) in enumerate(pairs, start=1):
                pair.build(below.shape)
                train(f"layer_{level}", pair, below, p.layer_steps)
                below = layer(below)
        if p.joint_steps:
            whole = keras.Sequential([encoder, decoder])
            train("autoencoder", whole, x, p.joint_steps)
        return history


def unit_scale(x: np.ndarray) -> np.ndarray:
    """Scale the whole table so that the mean of ||x||^2 / d is 1 (section 4.3); all zeros stay as they are."""
    mean_square = np.square(x, dtype=np.float64).mean()
    return x / np.float32(np.sqrt(mean_square) or 1)
