"""Attention-Guided Deep Adversarial Temporal Subspace Clustering (Nji, Janeja and Wang, arXiv 2510.18004)."""

from __future__ import annotations

from math import ceil
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from methods.a_datsc.adversary import SubspaceJudge
from methods.a_datsc.clustering import (
    SubspaceHead,
    annealed,
    balance,
    first_clusters,
    ramped,
    redundancy,
    tempered,
)
from methods.a_datsc.generator import ConvGenerator, Output, TabularGenerator, forget
from methods.a_datsc.self_expression import expressed, expression_loss, refined
from methods.a_datsc.sequences import Sequences
from methods.blocks.gan import Player, alternate
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.precision import autocast
from methods.blocks.seeding import generator, reproducible
from methods.blocks.student_t import ClusterHead, kl_loss, target_distribution
from methods.blocks.subspace_affinity import start as first_subspaces
from methods.blocks.subspace_game import gradient_share, joined
from methods.blocks.training import train
from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Generator G with clustering head and self-expression against bases of the clusters D (paper, section 5)."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
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
        self.k, self.seed, self.device, self.progress = (
            plugin.n_clusters, plugin.seed, plugin.device, plugin.progress,
        )  # fmt: skip
        multiples = [2 ** (len(p.filters) - 1) * size for size in p.patch]
        self.days = Sequences(cube, p.window, p.windows_per_batch, multiples, p.count_padding).to(self.device)
        shape = self.days.frames.shape[1:]
        self.G = TabularGenerator(shape, p) if p.recurrence == "none" else ConvGenerator(shape, p)
        initialise(self.G, glorot_uniform, generator(self.seed, "weights"))
        forget(self.G, p.forget_bias)
        self.G.to(self.device)
        self.noise = generator(self.seed, "skip dropout")
        self.D = SubspaceJudge(
            self.k, p.latent, p.rank, n_days=cube.n_days, n_fakes=p.n_fakes, margin=p.margin, real_share=p.real_share,
            noise=generator(self.seed, "alpha"),
        ).to(self.device)  # fmt: skip

    def fit(self, cube: Cube) -> Fit:
        """Warm up, start clusters and bases, train all together, and read off the labels."""
        history = self.warm_up()
        Z = self.start()
        history = joined(history | {"embedding_norm": [Z.norm().item()]}, self.train_jointly())
        return self.result(cube, history)

    def start(self) -> Tensor:
        """Start centres, bases and the first target from one partition, and return the embeddings."""
        p = self.p
        Z, C = self.days.embed(self.G)
        source = C if p.clusters_from == "expression" else None
        labels, centres = first_clusters(Z, source, self.k, self.seed, p.n_init)
        if p.head == "subspaces":
            self.head = SubspaceHead(first_subspaces(Z, self.k, p.rank, self.seed, p.n_init, True)[1], self.k, p.rank)
        else:
            self.head = ClusterHead(centres, alpha=p.alpha)
        self.head.to(self.device)
        self.D.start(Z, labels)
        self.q = self.head(Z.double()).detach()
        self.first_target = one_hot(labels, self.k).to(self.q)
        return Z

    def warm_up(self) -> dict[str, list[float]]:
        """Train the generator for reconstruction alone, on stretches of days."""
        p, n_days = self.p, len(self.days.frames)
        if p.warmup_epochs == 0:
            return {}
        size = min(p.warmup_days or n_days, n_days)
        each_pass = ceil(n_days / (size * p.warmup_batch))

        def losses(days: Tensor) -> dict[str, Tensor]:
            return {"reconstruction": self.days.error(self.generate(days).frames, days)}

        return train(
            losses,
            torch.optim.Adam(self.G.parameters(), p.warmup_lr, fused=True),
            self.days.stretches(size, p.warmup_batch, generator(self.seed, "order of days")),
            p.warmup_epochs * each_pass,
            name="warm-up",
            progress=self.progress,
            clip_norm=p.clip_norm,
            log_every=p.look_every * each_pass,
        )

    def train_jointly(self) -> dict[str, list[float]]:
        """Let G and D move in turn, and look at the labels now and then."""
        p, n_batches = self.p, self.days.n_batches
        n_steps, done = p.joint_epochs * n_batches, 0
        players, labels = self.players(n_steps), self.q.argmax(dim=1)
        history: dict[str, list[float]] = {}
        while done < n_steps:
            n = min(p.look_every * n_batches, n_steps - done)
            found = alternate(players, n, name="clustering", progress=lambda *_: None, log_every=n)
            done += n
            self.progress("clustering", done, n_steps)
            Z, _ = self.days.embed(self.G)
            before, labels = labels, self.head(Z.double()).argmax(dim=1)
            found |= {
                "labels_changed": [(labels != before).double().mean().item()],
                "embedding_norm": [Z.norm().item()],
                "temperature": [self.temperature(done / n_steps)],
            }
            for k in range(self.k):
                found[f"share_of_cluster_{k}"] = [(labels == k).double().mean().item()]
            history = joined(history, found)
        return history

    def players(self, n_steps: int) -> list[Player]:
        """Return the generator and, if it has a weight, the discriminator, under the schedules of section 5.4.

        In a round, both see the same embeddings of the same sequences.
        """
        p, batches = self.p, self.days.batches()
        now = SimpleNamespace(step=0, days=None)

        def mislead() -> dict[str, Tensor]:
            now.days, now.step = next(batches), now.step + 1
            return self.losses(now.days, now.step / n_steps)

        def judge() -> dict[str, Tensor]:
            bases = self.D.subspaces
            return {
                "discriminator": self.D.loss(*self.judged, now.days.flatten()),
                "skewness": p.orthogonality * bases.skewness(),
                "overlap": p.separation * bases.overlap(),
            }

        weights = [*self.G.parameters(), *self.head.parameters()]
        players = [Player(mislead, torch.optim.Adam(weights, p.joint_lr, fused=True), clip_norm=p.clip_norm)]
        if p.lambda_adv:
            of_D = torch.optim.Adam(self.D.parameters(), p.discriminator_lr)
            players.append(Player(judge, of_D, after=self.D.retract))
        return players

    def generate(self, days: Tensor) -> Output:
        """Return what G makes of sequences of days, (batch, time): computed in ``precision``, given in float32."""
        with autocast(self.p.precision, self.device):
            made = self.G(self.days.frames[days], self.dropped(days))
        return Output(*(None if each is None else each.to(self.days.frames.dtype) for each in made))

    def dropped(self, days: Tensor) -> Tensor:
        """Draw the sequences, (batch,), of which the decoder knows Z alone."""
        return (torch.rand(len(days), generator=self.noise) < self.p.skip_dropout).to(days.device)

    def temperature(self, progress: float) -> float:
        """Return tau, high to low."""
        return annealed(self.p.temperature[0], self.p.temperature[1], progress)

    def losses(self, days: Tensor, progress: float) -> dict[str, Tensor]:
        """Return the terms of Eq. 6 for sequences of days, (batch, time)."""
        p = self.p
        made = self.generate(days)
        Z, own = made.Z.flatten(0, 1), days.flatten()
        q = self.head(Z)
        self.q[own] = q.detach().double()
        known = self.first_target if progress <= p.first_target else target_distribution(self.q)
        target = known[own].to(q.dtype)
        soft = tempered(q, self.temperature(progress))
        self.judged = Z.detach(), soft.detach()
        terms = {
            "reconstruction": p.lambda_rec * self.days.error(made.frames, days),
            "kl": p.lambda_kl * kl_loss(target, q),
        }
        if isinstance(self.head, SubspaceHead):
            terms |= self.head.penalties(p.orthogonality)
        if p.lambda_bal:
            weight = ramped(p.lambda_bal, 0, p.balance_ramp, progress)
            terms |= {"balance": weight * balance(soft), "redundancy": weight * redundancy(soft)}
        if made.C is not None and p.lambda_se:
            weight = ramped(p.lambda_se, p.expression_start, p.expression_start, progress)
            terms["self_expression"] = weight * expression_loss(made.Z, made.C, p)
        if p.lambda_adv:
            weight = ramped(p.lambda_adv, p.expression_start, p.expression_start, progress)
            terms["adversarial"] = weight * self.D.fake_energy(Z, soft, own)
        return terms

    def result(self, cube: Cube, history: dict[str, list[float]]) -> Fit:
        """Return labels, and what they come from."""
        p = self.p
        Z, C = self.days.embed(self.G)
        labels = self.head(Z.double()).argmax(dim=1).cpu().numpy()
        others: dict[str, np.ndarray] = {}
        if C is not None:
            C = C.cpu().numpy()
            spectral = refined(C, self.k, self.seed)
            of_days = expressed(torch.tensor(cube.table)[None], p)
            others = {"raw_data": refined(of_days[0].numpy(), self.k, self.seed)}  # the same layer without the network
            others |= {"argmax": labels} if p.refine else {"spectral": spectral}
            labels = spectral if p.refine else labels
        return Fit(
            labels=labels,
            embedding=Z.cpu().numpy(),
            self_expression=C,
            reconstruction=self.days.reconstruct(self.G, cube),
            other_labels=others,
            diagnostics=self.adversary_share(),
            history=history,
            n_parameters=count(self.G, self.head, self.D) if p.lambda_adv else count(self.G, self.head),
            epochs=p.warmup_epochs + p.joint_epochs,
            stop_reason="number of epochs reached" if p.joint_epochs else "no steps asked for",
        )

    def adversary_share(self) -> dict[str, float]:
        """Return the gradient of the adversary at Z, as a share of that of the other losses that see Z."""
        p = self.p
        if not p.lambda_adv or not p.joint_epochs:
            return {}
        Z = self.days.embed(self.G)[0].requires_grad_()
        q = self.head(Z)
        everyone = torch.arange(len(Z), device=Z.device)
        adversarial = p.lambda_adv * self.D.fake_energy(Z, tempered(q, self.temperature(1)), everyone)
        if not adversarial.requires_grad:
            return {}
        rest = p.lambda_kl * kl_loss(target_distribution(q.detach()), q)
        return {"adversary_share": gradient_share(adversarial, rest, Z)}


def count(*parts: nn.Module) -> int:
    """Return the trainable parameters of all parts."""
    return sum(weight.numel() for part in parts for weight in part.parameters())
