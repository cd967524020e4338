"""The network of DTCR: bidirectional dilated encoder, decoder, classifier of real and fake series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods.blocks.gru import GRU, DilatedGRU


class Decoder(nn.Module):
    """One GRU layer that starts at the code and reads its own output (section 4.1)."""

    def __init__(self, n_variables: int, n_units: int) -> None:
        super().__init__()
        self.gru = GRU(n_variables, n_units)
        self.output = nn.utils.skip_init(nn.Linear, n_units, n_variables)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights as the official code does."""
        self.gru.initialise(generator)
        for parameter in self.output.parameters():
            parameter.uniform_(-0.04, 0.04, generator=generator)

    def forward(self, h: Tensor, first: Tensor, n_steps: int) -> Tensor:
        """Return ``n_steps`` outputs, (batch, time, n_variables), from codes ``h`` and the ``first`` input."""
        step, outputs = self.gru.recurrence(), [first]
        for _ in range(n_steps):
            h = step(self.gru.project(outputs[-1]), h)
            outputs.append(self.output(h))
        return torch.stack(outputs[1:], dim=1)


class DTCR(nn.Module):
    """All that is trained.

    Parameters
    ----------
    n_variables : int
        Columns of a series at each step.
    units, dilations : sequence of int
        Layers of the encoder, in each direction.
    classifier_units : int
        Hidden layer of the classifier.
    """

    def __init__(self, n_variables: int, units: Sequence[int], dilations: Sequence[int], classifier_units: int) -> None:
        super().__init__()
        self.n_code = 2 * sum(units)
        self.forwards = DilatedGRU(n_variables, units, dilations)
        self.backwards = DilatedGRU(n_variables, units, dilations)
        self.decoder = Decoder(n_variables, self.n_code)
        self.classifier = nn.Sequential(
            nn.utils.skip_init(nn.Linear, self.n_code, classifier_units),
            nn.ReLU(),
            nn.utils.skip_init(nn.Linear, classifier_units, 2),
        )

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights as the official code does (the paper names no initial values)."""
        for part in (self.forwards, self.backwards, self.decoder):
            part.initialise(generator)
        for layer in (self.classifier[0], self.classifier[2]):
            nn.init.trunc_normal_(layer.weight, 0.0, 0.01, -0.02, 0.02, generator)
            layer.bias.fill_(0.1)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes h, (batch, 2 * sum of units): the last states of all layers in both directions."""
        return torch.cat([self.forwards(x), self.backwards(x.flip(1))], dim=1)

    @torch.no_grad()
    def encode_all(self, x: Tensor, batch_size: int = 256) -> Tensor:
        """Return the codes of all days without gradients, a batch at a time."""
        return torch.cat([self.encode(batch) for batch in x.split(batch_size)])


def fake_samples(x: Tensor, share: float, replacement: bool, generator: torch.Generator) -> Tensor:
    """Return each series with the values of a share of its steps moved among them (section 3.2).

    Steps are drawn for each series on its own. The first drawn step gives its value to the earliest of the drawn
    steps, the second to the next, and so on.

    Parameters
    ----------
    x : Tensor, shape (n, steps, variable)
        Real series.
    share : float
        Share of the steps to draw, rounded down.
    replacement : bool
        May a step be drawn twice? If not, the drawn steps are shuffled, as in the paper. If so, as in the official
        code, fewer steps are touched, and some of their values are lost and others doubled.
    generator : torch.Generator
        Source of the numbers, on the CPU.
    """
    n, n_steps = x.shape[:2]
    n_drawn = int(n_steps * share)
    if replacement:
        drawn = torch.randint(n_steps, (n, n_drawn), generator=generator)
    else:
        drawn = torch.rand(n, n_steps, generator=generator).argsort(dim=1)[:, :n_drawn]
    touched = torch.zeros(n, n_steps, dtype=torch.bool).scatter_(1, drawn, True)
    steps = torch.arange(n_steps).repeat(n, 1)
    rank = touched.cumsum(dim=1)[touched] - 1
    row = torch.arange(n)[:, None].expand(n, n_steps)[touched]
    steps[touched] = drawn[row, rank]
    return x[torch.arange(n)[:, None].to(x.device), steps.to(x.device)]


def classification_loss(logits: Tensor) -> Tensor:
    """Return the cross-entropy of telling real from fake (Eq. 8); the first half of the rows is real."""
    is_fake = torch.arange(len(logits), device=logits.device) >= len(logits) // 2
    return cross_entropy(logits, is_fake.long())
