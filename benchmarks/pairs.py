"""Pairs of a torch network and a Keras model, for ``benchmarks/parity.py``: whole methods, and single layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
import torch
from torch import nn

from benchmarks import keras_models
from benchmarks.keras_models import SeriesClustering, dtc_autoencoder, dtc_heatmap
from benchmarks.side_by_side import Pair
from methods.a_datsc.generator import ConvGenerator
from methods.a_datsc_tf.network import Generator
from methods.blocks.autoencoder import MLPAutoencoder, reconstruction_loss
from methods.blocks.convlstm import ConvLSTM2d
from methods.blocks.gru import GRU
from methods.blocks.keras import clustering, convolutional, dense, recurrent
from methods.blocks.keras.runtime import INITIALISERS, seeds
from methods.blocks.lstm import LSTM
from methods.blocks.similarity import SIMILARITIES
from methods.blocks.student_t import ClusterHead, kl_loss
from methods.dsc.network import DSC
from methods.dtc.network import HeatMap, TemporalAutoencoder
from methods.dtcr.network import DTCR, classification_loss
from regimebench import registry

SQUARED_ERROR = keras.losses.MeanSquaredError()
DIVERGENCE = keras.losses.KLDivergence()
N_CLUSTERS = 7


def numbers(*shape: int, seed: int = 1) -> np.ndarray:
    """Return inputs in [0, 1], as cubes are."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def targets(n: int) -> np.ndarray:
    """Return n rows of a target distribution P."""
    return np.random.default_rng(2).dirichlet(np.ones(N_CLUSTERS), n).astype(np.float32)


def built(model: keras.Model | keras.Layer, *shape: int) -> keras.Model | keras.Layer:
    """Return a model with its weights, made for inputs of a shape."""
    model(tf.zeros(shape))
    return model


def assigned(q: Callable, z: object, p: object, divergence: Callable) -> tuple:
    """Return q of codes, and the loss."""
    return q(z), divergence(p, q(z))


def dec_pretraining(n: int, n_columns: int, sizes: Sequence[int]) -> Pair:
    """Return DEC's auto-encoder and its reconstruction error."""
    encoder, decoder = dense.autoencoder(n_columns, sizes, INITIALISERS["variance_scaling"](seeds(0, "weights")))
    ours = MLPAutoencoder(n_columns, sizes)

    def in_keras(x: tf.Tensor) -> tuple:
        output = decoder(encoder(x))
        return output, SQUARED_ERROR(x, output)

    def in_torch(x: torch.Tensor) -> tuple:
        output = ours(x)
        return output, reconstruction_loss(output, x)

    weights = encoder.trainable_variables + decoder.trainable_variables
    return Pair(weights, [ours], in_keras, in_torch, [numbers(n, n_columns)])


def dec_clustering(n: int, n_columns: int, sizes: Sequence[int]) -> Pair:
    """Return DEC's encoder, soft assignment and divergence."""
    encoder, _ = dense.autoencoder(n_columns, sizes, INITIALISERS["variance_scaling"](seeds(0, "weights")))
    centres = numbers(N_CLUSTERS, sizes[-1], seed=3)
    head, ours = clustering.ClusteringLayer(centres), MLPAutoencoder(n_columns, sizes).encoder
    our_head = ClusterHead(torch.tensor(centres))
    return Pair(
        encoder.trainable_variables + head.trainable_variables,
        [ours, our_head],
        lambda x, p: assigned(head, encoder(x), p, DIVERGENCE),
        lambda x, p: assigned(our_head, ours(x), p, kl_loss),
        [numbers(n, n_columns), targets(n)],
    )


def layer(theirs: keras.Layer, ours: nn.Module, shape: Sequence[int]) -> Pair:
    """Return a recurrent layer of both frameworks; the loss weighs each number of its output differently."""
    output = built(theirs, *shape)(tf.zeros(shape))
    loss_weights = np.random.default_rng(4).standard_normal(output.shape).astype(np.float32)

    def in_torch(x: torch.Tensor, loss_weights: torch.Tensor) -> tuple:
        frames = x.ndim == 5
        found = ours(x.permute(0, 1, 4, 2, 3) if frames else x)
        found = found.movedim(-3, -1) if frames else found
        return found, (found.square() * loss_weights).sum()

    def in_keras(x: tf.Tensor, loss_weights: tf.Tensor) -> tuple:
        found = theirs(x)
        return found, tf.reduce_sum(tf.square(found) * loss_weights)

    return Pair(theirs.trainable_variables, [ours], in_keras, in_torch, [numbers(*shape) - 0.5, loss_weights])


def dsc(n: int, shape: tuple[int, int, int], length: int, **options: object) -> Pair:
    """Return DSC's network or an ablation of it, its soft assignment, and its loss without dropout."""
    given = {"filters": [6, "P", 8, "P"], "units": [9, 10], "code": 11, "decoder": [8, 6], "pooling": "same", **options}
    p = {"recurrent": True, "dense_output": False, **given}
    make = convolutional.Networks(shape, seed=0)
    maps = make.convolutions(p["filters"], p["pooling"])
    features = int(np.prod(maps.output_shape[1:]))
    head_of = make.recurrent_head if p["recurrent"] else make.dense_head
    encode = head_of(features, length, p["units"], p["code"])
    decode = make.decoder(maps.output_shape[1:], p["code"], p["decoder"], p["dense_output"]) if p["decoder"] else None
    centres = numbers(N_CLUSTERS, p["code"], seed=3)
    head, our_head = clustering.ClusteringLayer(centres), ClusterHead(torch.tensor(centres))
    ours = DSC(shape, **p)
    windows = np.maximum(np.arange(n)[:, None] + np.arange(1 - length, 1), 0)

    def in_keras(x: tf.Tensor, target: tf.Tensor) -> tuple:
        codes = encode(tf.gather(tf.reshape(maps(x), (n, features)), windows))
        q, loss = assigned(head, codes, target, DIVERGENCE)
        if decode is None:
            return q, loss
        days = decode(codes)
        return days, loss + SQUARED_ERROR(x, days)

    def in_torch(x: torch.Tensor, target: torch.Tensor) -> tuple:
        codes = ours.encode(x, torch.tensor(windows))
        q, loss = assigned(our_head, codes, target, kl_loss)
        if ours.decoder is None:
            return q, loss
        days = ours.decode(codes)
        return days, loss + reconstruction_loss(days, x)

    owners = [maps, encode, *([decode] if decode else []), head]
    weights = [weight for owner in owners for weight in owner.trainable_variables]
    return Pair(weights, [ours, our_head], in_keras, in_torch, [numbers(n, *shape), targets(n)])


def a_datsc(n: int, n_steps: int, size: int, **options: object) -> Pair:
    """Return A-DATSC's generator; the loss takes in embeddings, coefficients and reconstruction."""
    spec = registry.method("a_datsc")
    p = SimpleNamespace(**{**spec.parameters, **spec.smoke, **options})
    theirs = Generator((size, size, 3), p, seed=0)
    ours = ConvGenerator((3, size, size), p)
    rng = np.random.default_rng(4)
    shapes = ((n, n_steps, p.latent), (n, n_steps, n_steps), (n, n_steps, size, size, 3))
    loss_weights = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def in_keras(x: tf.Tensor, *weights: tf.Tensor) -> tuple:
        made = theirs(x)
        return made[2], tf.add_n([tf.reduce_mean(tf.square(a) * w) for a, w in zip(made, weights, strict=True)])

    def in_torch(x: torch.Tensor, *weights: torch.Tensor) -> tuple:
        Z, C, frames = ours(x.movedim(-1, 2))
        made = (Z, C, frames.movedim(2, -1))
        return made[2], sum((a.square() * w).mean() for a, w in zip(made, weights, strict=True))

    return Pair(theirs.variables, [ours], in_keras, in_torch, [numbers(n, n_steps, size, size, 3), *loss_weights])


def dtcr(n: int, n_steps: int, n_variables: int, units: Sequence[int], dilations: Sequence[int]) -> Pair:
    """Return DTCR's encoder, decoder and classifier, the trace term with a given F, and its whole loss."""
    theirs = keras_models.DTCR(n_variables, units, dilations, 12)
    ours = DTCR(n_variables, units, dilations, 12)
    F = np.linalg.qr(np.random.default_rng(5).standard_normal((n, N_CLUSTERS)))[0].astype(np.float32)
    is_fake = np.repeat([0, 1], n)

    def in_keras(x: tf.Tensor, F: tf.Tensor) -> tuple:
        codes = theirs.encode(x)
        h = codes[:n]
        output = theirs.decode(h, x[:n, 0], n_steps)
        trace = tf.linalg.trace(tf.matmul(h, h, transpose_b=True))
        trace -= tf.linalg.trace(tf.transpose(F) @ h @ tf.transpose(h) @ F)
        logits = theirs.classify(codes)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(is_fake, logits)
        return output, SQUARED_ERROR(x[:n], output) + tf.reduce_mean(entropy) + 0.01 * trace

    def in_torch(x: torch.Tensor, F: torch.Tensor) -> tuple:
        codes = ours.encode(x)
        h = codes[:n]
        output = ours.decoder(h, x[:n, 0], n_steps)
        trace = h.square().sum() - (h.T @ F).square().sum()
        return output, reconstruction_loss(output, x[:n]) + classification_loss(ours.classifier(codes)) + 0.01 * trace

    in_keras(tf.zeros((2 * n, n_steps, n_variables)), tf.constant(F))
    owners = [*theirs.forwards.layers, *theirs.backwards.layers, theirs.cell, theirs.step_output]
    weights = [weight for owner in [*owners, theirs.hidden, theirs.logits] for weight in owner.trainable_variables]
    return Pair(weights, [ours], in_keras, in_torch, [numbers(2 * n, n_steps, n_variables), F])


def similarity(name: str, n: int, n_steps: int, n_channels: int) -> Pair:
    """Return DTC's soft assignment of series by one of its distances, and the divergence."""
    theirs = built(SeriesClustering(N_CLUSTERS, name), n, n_steps, n_channels)
    ours = ClusterHead(torch.tensor(theirs.centres.numpy()), lambda z, w: SIMILARITIES[name](z, w).square())
    return Pair(
        theirs.trainable_variables,
        [ours],
        lambda z, p: assigned(theirs, z, p, DIVERGENCE),
        lambda z, p: assigned(ours, z, p, kl_loss),
        [numbers(n, n_steps, n_channels), targets(n)],
    )


def dtc(n: int, n_steps: int, n_variables: int, pool: int, filters: int, kernel: int, units: Sequence[int]) -> Pair:
    """Return DTC's auto-encoder, heat map and Euclidean soft assignment, and their three losses.

    torch's LSTM has a second bias, as cuDNN's has, that is held at zero here: it is added to the first.
    """
    encoder, decoder = dtc_autoencoder(n_steps, n_variables, pool, filters, kernel, units)
    heat = dtc_heatmap(n_steps // pool, units[-1], N_CLUSTERS, pool, kernel)
    head = built(SeriesClustering(N_CLUSTERS, "eucl"), n, n_steps // pool, units[-1])
    ours = TemporalAutoencoder(n_variables, filters, kernel, pool, units)
    our_heat = HeatMap(units[-1], N_CLUSTERS, kernel, pool)
    our_head = ClusterHead(torch.tensor(head.centres.numpy()), lambda z, w: SIMILARITIES["eucl"](z, w).square())
    for name, parameter in ours.named_parameters():
        if "bias_hh" in name:
            parameter.requires_grad_(False).zero_()

    def in_keras(x: tf.Tensor, p: tf.Tensor) -> tuple:
        z = encoder(x)
        output = decoder(z)
        return output, SQUARED_ERROR(x, output) + DIVERGENCE(p, head(z)) + DIVERGENCE(p, heat(z))

    def in_torch(x: torch.Tensor, p: torch.Tensor) -> tuple:
        output, z = ours(x)
        return output, reconstruction_loss(output, x) + kl_loss(p, our_head(z)) + kl_loss(p, our_heat.probabilities(z))

    weights = [weight for owner in (encoder, decoder, heat, head) for weight in owner.trainable_variables]
    return Pair(weights, [ours, our_heat, our_head], in_keras, in_torch, [numbers(n, n_steps, n_variables), targets(n)])


def convlstm(shape: Sequence[int], filters: int, backwards: bool, sequences: bool = True) -> Pair:
    """Return the convolutional LSTM; a shape is in the order of Keras' axes (batch, time, y, x, channel)."""
    theirs = recurrent.conv_lstm_2d(filters, return_sequences=sequences, go_backwards=backwards)
    return layer(theirs, ConvLSTM2d(shape[-1], filters, return_sequences=sequences, go_backwards=backwards), shape)


def lstm(n: int, n_steps: int, n_in: int, units: int) -> Pair:
    """Return the LSTM."""
    return layer(keras.layers.LSTM(units, return_sequences=True), LSTM(n_in, units), (n, n_steps, n_in))


def gru(n: int, n_steps: int, n_in: int, units: int) -> Pair:
    """Return the GRU of TensorFlow 1."""
    return layer(recurrent.gru(units, return_sequences=True), GRU(n_in, units), (n, n_steps, n_in))
