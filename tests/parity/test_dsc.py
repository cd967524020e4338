"""DSC and its three ablations: networks, assignment and loss; the broadcast loss; the counts of parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch


@pytest.mark.parametrize("subject", ["DSC", "DSC, CNN encoder", "DSC, CNN auto-encoder", "DSC, CNN-LSTM encoder"])
def test_torch_and_keras_agree(subject, agree):
    agree(subject)


def test_broadcast_loss_is_what_the_shapes_of_the_official_code_broadcast_to(parity):
    from benchmarks import pairs
    from methods.dsc.method import every_pair_loss as in_torch
    from methods.dsc_tf.method import every_pair_loss as in_keras

    x, output = pairs.numbers(5, 4, 3, 2), pairs.numbers(5, 4, 3, 2, seed=2)
    expected = np.square(x[:, None].astype(float) - output).mean()
    assert float(in_keras(x, output)) == pytest.approx(expected, rel=1e-6)
    assert in_torch(torch.tensor(output), torch.tensor(x)).item() == pytest.approx(expected, rel=1e-6)


def test_networks_have_as_many_parameters_as_the_papers(parity):
    from methods.blocks.keras.convolutional import Networks
    from methods.blocks.keras.runtime import n_weights
    from regimebench import registry

    p = registry.method("dsc_tf/published_code").parameters
    make = Networks((48, 48, 7), 0, p["dropout"])
    maps = make.convolutions(p["filters"], p["pooling"])
    head = make.recurrent_head(4608, 1, p["units"], p["code"])
    decoder = make.decoder((3, 3, 512), p["code"], p["decoder"], p["dense_output"])
    assert n_weights(maps, head) == 14_308_544
    assert n_weights(maps, head, decoder) + 7 * p["code"] == 19_407_175

    p = registry.method("dsc_tf/cnn_lstm_encoder").parameters
    make = Networks((41, 41, 7), 0, p["dropout"])
    maps = make.convolutions(p["filters"], p["pooling"])
    n_features = int(np.prod(maps.output_shape[1:]))
    head = make.recurrent_head(n_features, 1, p["units"], p["code"])
    assert n_weights(maps, head) + 7 * p["code"] == 66_910_528
