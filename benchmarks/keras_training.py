"""Training of DTC and DTCR in Keras, for comparisons of speed: the steps that the plugins take, without their results.

Each function trains until its step limit; days become series by the plugin's own blocks. Fake samples of DTCR are made
once and not at each step, and its indicator F stays, which spares Keras work that the plugin does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch

from benchmarks.keras_models import DTCR, SeriesClustering, dtc_autoencoder
from methods.blocks import series
from methods.blocks.keras.runtime import apply_in_batches, start
from methods.blocks.keras.training import Trainer, batches
from methods.dtcr.network import fake_samples
from regimebench.method import Cube

SQUARED_ERROR = keras.losses.MeanSquaredError()
DIVERGENCE = keras.losses.KLDivergence()


def _nothing(name: str, done: int, total: int) -> None:
    """Drop a progress report."""


def dtc(cube: Cube, parameters: Mapping[str, Any], n_clusters: int) -> None:
    """Train DTC's auto-encoder and centroids together, with a new target before each epoch."""
    start()
    p = SimpleNamespace(**parameters)
    days = {
        "flattened": lambda: series.flattened(cube),
        "cells": lambda: series.cells(cube, p.max_cells),
        "days": lambda: series.windows_of(series.block_means(cube, p.max_cells), p.window),
    }[p.layout]()
    pool = p.pool or -(-days.shape[1] // 99)
    x = tf.constant(series.pad_steps(days, pool).numpy())
    n_days, n_steps, n_channels = x.shape
    encoder, decoder = dtc_autoencoder(n_steps, n_channels, pool, p.filters, p.kernel_size, p.units)
    head = SeriesClustering(n_clusters, p.similarity)

    @tf.function
    def codes(days: tf.Tensor) -> tf.Tensor:
        return encoder(tf.gather(x, days))

    z = apply_in_batches(codes, n_days, p.batch_size)
    head.build(z.shape)
    head.centres.assign(z[:n_clusters])
    target = tf.Variable(tf.zeros((n_days, n_clusters)), trainable=False)

    def loss(days: tf.Tensor) -> dict[str, tf.Tensor]:
        some = tf.gather(x, days)
        z = encoder(some)
        clustering = p.gamma * DIVERGENCE(tf.gather(target, days), head(z))
        return {"reconstruction": SQUARED_ERROR(some, decoder(z)), "clustering": clustering}

    variables = [weight for part in (encoder, decoder, head) for weight in part.trainable_variables]
    trainer = Trainer(loss, keras.optimizers.Adam(p.learning_rate), variables)
    epoch = -(-n_days // p.batch_size)
    order = batches(n_days, p.batch_size, np.random.default_rng(0))
    for _ in range(p.epochs):
        q = head(tf.constant(apply_in_batches(codes, n_days, p.batch_size))).numpy()
        weight = q**2 / q.sum(axis=0)
        target.assign(weight / weight.sum(axis=1, keepdims=True))
        trainer.run(order, epoch, name="clustering", progress=_nothing)


def dtcr(cube: Cube, parameters: Mapping[str, Any], n_clusters: int) -> None:
    """Train DTCR's encoder, decoder and classifier."""
    start()
    keras.utils.set_random_seed(0)  # deterministic kernels draw no noise without
    p = SimpleNamespace(**parameters)
    if p.window is None:
        real = series.cells(cube, p.max_steps)
    else:
        real = series.windows_of(series.block_means(cube, p.window_cells), p.window)
    n_days, n_steps, n_variables = real.shape
    fake = fake_samples(real, p.fake_share, p.fake_replacement, torch.Generator().manual_seed(0))
    x, x_fake = tf.constant(real.numpy()), tf.constant(fake.numpy())
    network = DTCR(n_variables, p.units, p.dilations, p.classifier_units)
    F = tf.constant(np.linalg.qr(np.random.default_rng(0).standard_normal((n_days, n_clusters)))[0].astype(np.float32))

    def loss(days: tf.Tensor) -> dict[str, tf.Tensor]:
        clean = tf.gather(x, days)
        both = tf.concat([clean, tf.gather(x_fake, days)], axis=0)
        if p.input_noise:
            both += p.input_noise * tf.random.normal(tf.shape(both))
        n = tf.shape(days)[0]
        codes = network.encode(both)
        h = codes[:n]
        output = network.decode(h, both[:n, 0], n_steps)
        is_fake = tf.repeat([0, 1], [n, n])
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(is_fake, network.classify(codes))
        squares = tf.reduce_sum(tf.square(h)) - tf.reduce_sum(tf.square(tf.transpose(tf.gather(F, days)) @ h))
        return {
            "reconstruction": SQUARED_ERROR(clean, output),
            "classification": tf.reduce_mean(entropy),
            "kmeans": p.kmeans_weight * squares,
        }

    loss(tf.range(2))  # makes the weights
    trainer = Trainer(loss, keras.optimizers.Adam(p.lr), network.trainable_variables)
    order = batches(n_days, p.batch_size or n_days, np.random.default_rng(0))
    trainer.run(order, p.max_iter, name="training", progress=_nothing)
