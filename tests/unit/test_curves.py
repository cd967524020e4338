"""Curves of training: which series are drawn where, and what is done without any."""

from __future__ import annotations

import numpy as np

from regimebench.reporting.curves import draw_curves, panels, read_history


def test_numbered_series_share_a_panel():
    names = ["loss", "share_of_cluster_0", "share_of_cluster_1", "kl"]
    assert panels(names) == {"loss": ["loss"], "share_of_cluster": names[1:3], "kl": ["kl"]}


def test_history_is_read_from_the_file_of_a_fit(tmp_path):
    assert read_history(tmp_path) == {}
    np.savez(tmp_path / "fit.npz", labels=np.arange(3), history_loss=np.array([2.0, 1.0]))
    found = read_history(tmp_path)
    assert list(found) == ["loss"]
    np.testing.assert_array_equal(found["loss"], [2, 1])


def drawn(histories):
    """Return the lines of each panel, by title, of what is drawn."""
    figure = draw_curves(histories, "title")
    return {axis.get_title(): axis.get_lines() for axis in figure.axes if axis.get_visible()}


def test_every_series_of_every_seed_is_drawn_and_the_first_seed_stands_out():
    one = {"loss": np.array([3.0, 2.0]), "share_0": np.array([0.5, 0.4]), "share_1": np.array([0.5, 0.6])}
    other = {"loss": np.array([4.0, 3.0, 1.0]), "only_here": np.array([1.0])}
    lines = drawn([one, other])
    assert {name: len(found) for name, found in lines.items()} == {"loss": 2, "share": 2, "only here": 2}
    shades = {line.get_color(): list(line.get_ydata()) for line in lines["loss"]}
    assert shades == {"black": [3, 2], "0.7": [4, 3, 1]}


def test_twenty_seeds_are_drawn_with_the_first_among_them():
    lines = drawn([{"loss": np.array([float(seed)])} for seed in range(50)])
    assert [line.get_ydata()[0] for line in lines["loss"]] == list(range(19, -1, -1))
