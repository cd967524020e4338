"""When self-training looks, what it trains on, and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from methods.blocks.self_training import self_train
from methods.blocks.student_t import ClusterHead, kl_loss, target_distribution
from methods.blocks.training import batches

Q = torch.tensor([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])


class Script:
    """An encoder stand-in that hands out a prepared soft assignment at each look, and logs every training step."""

    def __init__(self, *looks: torch.Tensor) -> None:
        self.looks = list(looks)
        self.batches: list[list[int]] = []
        self.targets: list[torch.Tensor] = []
        self.optimisers: list[torch.optim.Optimizer] = []
        self.weight = torch.nn.Parameter(torch.tensor(0.0))

    def codes(self) -> torch.Tensor:
        return torch.full((4, 1), 1.0 + len(self.batches))

    def assign(self, z: torch.Tensor) -> torch.Tensor:
        assert (z == 1 + len(self.batches)).all(), "the codes of this look"
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def loss(self, days: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.batches.append(days.tolist())
        self.targets.append(target)
        return self.weight * 1.0

    def optimiser(self) -> torch.optim.Optimizer:
        self.optimisers.append(torch.optim.SGD([self.weight], lr=1.0, momentum=0.9))
        return self.optimisers[-1]

    def run(self, labels=(0, 1, 0, 1), **values):
        settings = {"update_interval": 3, "max_steps": 100, "tol": 1e-6, "reset_momentum": False, **values}
        return self_train(
            self.codes,
            self.assign,
            self.loss,
            self.optimiser,
            batches(4, 3),
            np.array(labels),
            progress=lambda name, done, total: None,
            **settings,
        )


def test_first_quiet_look_stops_but_never_before_training():
    script = Script(Q)
    found = script.run()
    assert found.steps == 3
    assert found.history["labels_changed"] == [0, 0]
    assert "0.00% of the labels changed" in found.stop_reason
    assert found.labels.tolist() == [0, 1, 0, 1]


def test_several_quiet_looks_must_follow_each_other():
    found = Script(Q, Q, Q.flip(1), Q.flip(1), Q.flip(1), Q.flip(1)).run(quiet_looks=3)
    assert found.history["labels_changed"] == [0, 0, 1, 0, 0, 0]
    assert found.steps == 15
    assert "in 3 times 3 steps" in found.stop_reason


def test_the_norm_of_all_codes_is_kept_at_each_look():
    # Four equal codes of one dimension: 1 at first, 1 more after each step, three steps between two looks.
    assert Script(Q, Q.flip(1), Q.flip(1)).run().history["embedding_norm"] == [2, 8, 14]


def test_one_changed_label_keeps_a_zero_change_rule_going():
    other = Q.flip(1)
    moved = Q.clone()
    moved[0] = other[0]
    found = Script(Q, moved, moved).run()
    assert found.steps == 6
    assert found.history["labels_changed"] == [0, 0.25, 0]
    assert found.labels.tolist() == [1, 1, 0, 1]


def test_a_tolerance_above_the_change_stops():
    moved = Q.clone()
    moved[0] = Q[0].flip(0)
    assert Script(Q, moved).run(tol=0.3).steps == 3


def test_the_step_limit_ends_a_run_that_never_rests():
    looks = [Q, Q.flip(1)] * 5
    found = Script(*looks).run(max_steps=8)
    assert found.steps == 8
    assert found.stop_reason == "step limit reached"
    assert found.labels.tolist() == looks[3].argmax(dim=1).tolist(), "labels are those after the last step"


def test_without_steps_the_labels_come_back():
    script = Script(Q)
    found = script.run(labels=(1, 1, 0, 0), max_steps=0)
    assert found.labels.tolist() == [1, 1, 0, 0]
    assert script.batches == []


def test_the_target_is_fixed_between_looks_and_batches_go_on_in_calendar_order():
    script = Script(Q, Q.flip(1), Q.flip(1))
    script.run()
    assert script.batches == [[0, 1, 2], [3], [0, 1, 2], [3], [0, 1, 2], [3]]
    first, second = target_distribution(Q), target_distribution(Q.flip(1))
    for step, days in enumerate(script.batches):
        torch.testing.assert_close(script.targets[step], (first if step < 3 else second)[days])


@pytest.mark.parametrize(("reset", "travelled"), [(True, 2 * (1 + 1.9)), (False, 1 + 1.9 + 2.71 + 3.439)])
def test_momentum_starts_again_at_each_target_if_asked(reset, travelled):
    script = Script(Q, Q.flip(1), Q.flip(1))
    found = script.run(update_interval=2, reset_momentum=reset)
    assert found.steps == 4
    assert -script.weight.item() == pytest.approx(travelled, rel=1e-5)


def test_real_gradients_pull_two_groups_apart():
    rng = np.random.default_rng(0)
    z = torch.tensor(np.concatenate([rng.normal(-1, 0.5, 50), rng.normal(1, 0.5, 50)])[:, None])
    codes = torch.nn.Parameter(z.clone())
    head = ClusterHead(torch.tensor([[-0.8], [0.8]], dtype=torch.float64))
    labels = np.repeat([0, 1], 50)
    with torch.no_grad():
        before = kl_loss(target_distribution(head(codes)), head(codes)).item()
    found = self_train(
        lambda: codes,
        head,
        lambda days, target: kl_loss(target.double(), head(codes[days])),
        lambda: torch.optim.SGD([codes, *head.parameters()], lr=1.0, momentum=0.9),
        batches(100, 32),
        labels,
        update_interval=20,
        max_steps=400,
        tol=0.0,
        reset_momentum=True,
        progress=lambda name, done, total: None,
    )
    assert found.steps == 400
    assert found.history["clustering"][-1] < before / 2
    assert np.mean(found.labels == labels) > 0.9
