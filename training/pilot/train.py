"""Trains `pilot`, or another recipe, from nothing: tokenizer, phases, checkpoints and scores, all from one seed."""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from training.pilot import mixture, truth, weights
from training.pilot.batches import CHAT_ML, IGNORED, TEMPLATE, Batch, Form, Stream, batches, trial_batches
from training.pilot.checkpoint import qwen2_files, saved_checkpoint
from training.pilot.dialogue import Dialogue, Dice
from training.pilot.network import Network, Shape, parameters_of
from training.pilot.tokenizer import saved_tokenizer, trained_tokenizer

SEED = 20261120
TRIAL_SEED = 1
TOKENIZER_DIALOGUES = 40000
LARGEST = 5_000_000


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training on one mixture; with `again` the learning rate rises to that part once more."""

    steps: int
    mixture: weights.Mixture
    again: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the weights."""

    phases: tuple[Phase, ...]
    seed: int = SEED
    budget: int = 6144
    matrix_rate: float = 0.02
    embedding_rate: float = 1e-2
    other_rate: float = 2e-3
    warmup: int = 100
    plateau: float = 0.25  # the part of the steps before the learning rate falls
    final: float = 0.01

    @property
    def steps(self) -> int:
        """All steps."""
        return sum(phase.steps for phase in self.phases)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs between the models that are trained this way."""

    plan: Plan
    shape: Shape
    form: Form
    makers: truth.Makers
    made_tokenizer: Callable[[Plan, Path], None]
    files: Callable[[Shape], dict[str, dict[str, Any]]]


FULL = Plan((Phase(4000, weights.WHOLE), Phase(2500, weights.CALLING), Phase(700, weights.COMPARING, again=0.3)))


def pace(plan: Plan, step: int) -> float:
    """The learning rate's factor: linear warm-up, a plateau, a line down to `final`; then a line for each `again`."""
    steps = sum(phase.steps for phase in plan.phases if not phase.again)
    left = (steps - step) / (steps * (1 - plan.plateau))
    if step < steps:
        return min((step + 1) / plan.warmup, 1.0, plan.final + (1 - plan.final) * left)
    for phase in (phase for phase in plan.phases if phase.again):
        if step < steps + phase.steps:
            return plan.final + (phase.again - plan.final) * (steps + phase.steps - step) / phase.steps
        steps += phase.steps
    raise ValueError("the step lies behind the last phase")


def optimizers(plan: Plan, network: Network) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for all else; `rate` is each group's highest."""
    named = list(network.named_parameters())
    matrices = [w for name, w in named if w.ndim == 2 and "embed" not in name and "lm_head" not in name]
    embeddings = [w for name, w in named if "embed" in name]
    others = [w for name, w in named if w.ndim != 2 or "lm_head" in name]
    groups = [{"params": embeddings, "rate": plan.embedding_rate}, {"params": others, "rate": plan.other_rate}]
    return [
        torch.optim.Muon(
            [{"params": matrices, "rate": plan.matrix_rate}],
            lr=plan.matrix_rate,
            weight_decay=0.1,
            adjust_lr_fn="original",
        ),
        torch.optim.AdamW(groups, lr=plan.other_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def schedule(plan: Plan, tokenizer: Path, first: int, form: Form) -> Iterator[Batch]:
    """The batches of all phases from step `first` on; each phase starts at a chunk of its own."""
    stream = Stream(plan.seed, str(tokenizer), plan.budget)
    for index, phase in enumerate(plan.phases):
        if first >= phase.steps:
            first -= phase.steps
            continue
        source = batches(stream, phase.mixture, index * 1_000_000, form)
        for step in range(phase.steps):
            batch = next(source)
            if step >= first:
                yield batch
        source.close()  # type: ignore[attr-defined]
        first = 0


def loss_of(network: Network, batch: Batch) -> Tensor:
    """Mean cross-entropy of the answers' tokens."""
    logits = network(torch.from_numpy(batch.ids), torch.from_numpy(batch.places))
    return functional.cross_entropy(logits.float(), torch.from_numpy(batch.targets))


def scores(network: Network, recipe: Recipe, tokenizer: Path, per_cell: int) -> dict[str, float]:
    """Per task and language, the share of held-out answers whose every token is the most likely one."""
    right: dict[str, list[bool]] = defaultdict(list)
    trial = trial_batches(str(tokenizer), TRIAL_SEED, per_cell, recipe.form, recipe.makers)
    with torch.no_grad():
        for task, language, batch in trial:
            guess = network(torch.from_numpy(batch.ids), torch.from_numpy(batch.places)).argmax(-1).numpy()
            counts = batch.targets != IGNORED
            right[f"{task}-{language}"].append(bool((guess == batch.targets)[counts].all()))
    return {cell: sum(marks) / len(marks) for cell, marks in right.items()}


def first_dialogues(plan: Plan) -> Iterator[Dialogue]:
    """What a tokenizer is trained on."""
    chosen = plan.phases[0].mixture
    rng = Dice(f"{plan.seed}:tokenizer", chosen.largest)
    return (mixture.dialogue(rng, chosen) for _ in range(TOKENIZER_DIALOGUES))


def made_tokenizer(plan: Plan, folder: Path) -> None:
    """Trains the tokenizer of `pilot` on the first dialogues of the stream."""
    texts = map(CHAT_ML.rendered, first_dialogues(plan))
    plain = (text.replace("<|im_start|>", "").replace("<|im_end|>", "") for text in texts)
    saved_tokenizer(trained_tokenizer(plain, TEMPLATE.read_text(encoding="utf-8")), folder)


PILOT = Recipe(FULL, Shape(), CHAT_ML, truth.MAKERS, made_tokenizer, qwen2_files)


def saved_state(folder: Path, step: int, network: Network, steppers: list[torch.optim.Optimizer]) -> None:
    """Writes what --resume needs."""
    state = {"step": step, "network": network.state_dict(), "steppers": [s.state_dict() for s in steppers]}
    torch.save(state, folder / "state.pt.part")
    (folder / "state.pt.part").replace(folder / "state.pt")


def resumed(folder: Path, network: Network, steppers: list[torch.optim.Optimizer]) -> int:
    """Loads the last state; returns the step to go on with."""
    state = torch.load(folder / "state.pt")
    network.load_state_dict(state["network"])
    for stepper, saved in zip(steppers, state["steppers"], strict=True):
        stepper.load_state_dict(saved)
    return int(state["step"])


def updated(plan: Plan, step: int, network: Network, steppers: list[torch.optim.Optimizer], batch: Batch) -> float:
    """One step; returns the loss before it."""
    for stepper in steppers:
        for group in stepper.param_groups:
            group["lr"] = group["rate"] * pace(plan, step)
    loss = loss_of(network, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for stepper in steppers:
        stepper.step()
        stepper.zero_grad(set_to_none=True)
    return loss.item()


def trained(recipe: Recipe, folder: Path, every: int, per_cell: int, resume: bool = False) -> Network:
    """Runs the plan of `recipe`; logs loss and speed, and at every `every` steps the scores and a checkpoint."""
    plan, tokenizer = recipe.plan, folder / "tokenizer.json"
    torch.manual_seed(plan.seed)
    recipe.made_tokenizer(plan, folder)
    network = Network(recipe.shape)
    assert parameters_of(network) <= LARGEST
    print(f"parameters {parameters_of(network)}", flush=True)
    steppers = optimizers(plan, network)
    first = resumed(folder, network, steppers) if resume else 0
    started, tokens, running = time.monotonic(), 0, 0.0
    for step, batch in enumerate(schedule(plan, tokenizer, first, recipe.form), first):
        loss = updated(plan, step, network, steppers, batch)
        tokens += batch.ids.size  # padding included
        running = loss if step == first else 0.95 * running + 0.05 * loss
        spent = time.monotonic() - started
        if step < 20 or step % 50 == 49:
            speed = f"{tokens / spent:.0f} tok/s {spent:.0f} s"
            print(f"step {step + 1} loss {loss:.6f} mean {running:.4f} {speed}", flush=True)
        if step % every == every - 1 or step == plan.steps - 1:
            reached = scores(network, recipe, tokenizer, per_cell)
            print(f"scores at {step + 1}: mean {sum(reached.values()) / len(reached):.3f} {short(reached)}", flush=True)
            saved_checkpoint(network, folder, recipe.files(recipe.shape))
            saved_state(folder, step + 1, network, steppers)
    return network


def short(reached: dict[str, float]) -> str:
    """Scores below one, worst first."""
    return " ".join(f"{cell}={value:.2f}" for cell, value in sorted(reached.items(), key=lambda x: x[1]) if value < 1)


def main(recipe: Recipe = PILOT) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, help="one phase of so many steps instead of the full plan")
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--per-cell", type=int, default=16)
    parser.add_argument("--resume", action="store_true", help="go on from the folder's state.pt")
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.steps is not None:
        phase = replace(recipe.plan.phases[0], steps=chosen.steps)
        recipe = replace(recipe, plan=replace(recipe.plan, phases=(phase,)))
    trained(recipe, chosen.folder, chosen.every, chosen.per_cell, chosen.resume)


if __name__ == "__main__":
    main()
