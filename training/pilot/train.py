"""Trains `pilot` from nothing: tokenizer, schedule of phases, checkpoints and held-out scores, all from one seed."""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from training.pilot import mixture, weights
from training.pilot.batches import IGNORED, TEMPLATE, Batch, Stream, batches, rendered, renderer, trial_batches
from training.pilot.dialogue import Dice
from training.pilot.network import Network, Shape, parameters_of
from training.pilot.tokenizer import saved_tokenizer, trained_tokenizer

SEED = 20261120
TRIAL_SEED = 1
TOKENIZER_DIALOGUES = 40000
LARGEST = 5_000_000


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training on one mixture; its learning rate falls by 1/`span` a step, to zero at step `zero`."""

    steps: int
    mixture: weights.Mixture
    zero: int
    span: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the weights."""

    phases: tuple[Phase, ...]
    seed: int = SEED
    budget: int = 6144
    matrix_rate: float = 0.02
    other_rate: float = 2e-3
    warmup: int = 100
    final: float = 0.01

    @property
    def steps(self) -> int:
        """All steps."""
        return sum(phase.steps for phase in self.phases)


FULL = Plan(
    (
        Phase(1200, weights.BALANCED, 3800, 2600),
        Phase(800, weights.PRACTISED, 3800, 2600),
        Phase(1200, weights.REFINED, 4600, 5200),
        Phase(1750, weights.FOCUSED, 4950, 6250),
        Phase(2700, weights.POLISHED, 7650, 5400),
        Phase(700, weights.CALLING, 8350, 4700),
    )
)


def phase_at(plan: Plan, step: int) -> Phase:
    """The phase that holds `step`."""
    for phase in plan.phases:
        if step < phase.steps:
            return phase
        step -= phase.steps
    raise ValueError("the step lies behind the last phase")


def pace(plan: Plan, step: int) -> float:
    """The learning rate's factor: linear warm-up, a plateau, then each phase's line down to `final`."""
    phase = phase_at(plan, step)
    left = (phase.zero - step) / phase.span
    return min((step + 1) / plan.warmup, 1.0, plan.final + (1 - plan.final) * left)


def optimizers(plan: Plan, network: Network) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding, norms and biases."""
    named = list(network.named_parameters())
    matrices = [w for name, w in named if w.ndim == 2 and "embed" not in name]
    others = [w for name, w in named if w.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=plan.matrix_rate, weight_decay=0.02, adjust_lr_fn="original"),
        torch.optim.AdamW(others, lr=plan.other_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def schedule(plan: Plan, tokenizer: Path, first: int) -> Iterator[Batch]:
    """The batches of all phases from step `first` on; each phase starts at a chunk of its own."""
    stream = Stream(plan.seed, str(tokenizer), plan.budget)
    for index, phase in enumerate(plan.phases):
        if first >= phase.steps:
            first -= phase.steps
            continue
        source = batches(stream, phase.mixture, index * 1_000_000)
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


def scores(network: Network, tokenizer: Path, per_cell: int) -> dict[str, float]:
    """Per task and language, the share of held-out answers whose every token is the most likely one."""
    right: dict[str, list[bool]] = defaultdict(list)
    with torch.no_grad():
        for task, language, batch in trial_batches(str(tokenizer), TRIAL_SEED, per_cell):
            guess = network(torch.from_numpy(batch.ids), torch.from_numpy(batch.places)).argmax(-1).numpy()
            counts = batch.targets != IGNORED
            right[f"{task}-{language}"].append(bool((guess == batch.targets)[counts].all()))
    return {cell: sum(marks) / len(marks) for cell, marks in right.items()}


def saved_checkpoint(network: Network, folder: Path) -> None:
    """Writes bf16 safetensors, config.json and generation_config.json in transformers' form."""
    shape = network.shape
    weights = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in network.state_dict().items()}
    part = folder / "model.safetensors.part"
    save_file(weights, part, metadata={"format": "pt"})
    part.replace(folder / "model.safetensors")
    size = shape.vocabulary
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "attention_dropout": 0.0,
        "bos_token_id": size - 3,
        "eos_token_id": size - 1,
        "pad_token_id": size - 3,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.inner,
        "max_position_embeddings": shape.context,
        "max_window_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.key_heads,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.theta,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": size,
    }
    generation = {
        "bos_token_id": size - 3,
        "eos_token_id": [size - 1, size - 3],
        "pad_token_id": size - 3,
        "do_sample": False,
        "max_new_tokens": 256,
    }
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def made_tokenizer(plan: Plan, folder: Path) -> Path:
    """Trains the tokenizer on the first dialogues of the stream."""
    rng, template = Dice(f"{plan.seed}:tokenizer", weights.BALANCED.largest), renderer()
    texts = [rendered(template, mixture.dialogue(rng, weights.BALANCED)) for _ in range(TOKENIZER_DIALOGUES)]
    plain = (text.replace("<|im_start|>", "").replace("<|im_end|>", "") for text in texts)
    saved_tokenizer(trained_tokenizer(plain, TEMPLATE.read_text(encoding="utf-8")), folder)
    return folder / "tokenizer.json"


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
    rates = (plan.matrix_rate, plan.other_rate)
    for stepper, rate in zip(steppers, rates, strict=True):
        for group in stepper.param_groups:
            group["lr"] = rate * pace(plan, step)
    loss = loss_of(network, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for stepper in steppers:
        stepper.step()
        stepper.zero_grad(set_to_none=True)
    return loss.item()


def trained(plan: Plan, folder: Path, every: int, per_cell: int, resume: bool = False) -> Network:
    """Runs the plan; logs loss and speed, and at every `every` steps the scores and a checkpoint."""
    torch.manual_seed(plan.seed)
    tokenizer = made_tokenizer(plan, folder)
    network = Network(Shape())
    assert parameters_of(network) <= LARGEST
    print(f"parameters {parameters_of(network)}", flush=True)
    steppers = optimizers(plan, network)
    first = resumed(folder, network, steppers) if resume else 0
    started, tokens, running = time.monotonic(), 0, 0.0
    for step, batch in enumerate(schedule(plan, tokenizer, first), first):
        loss = updated(plan, step, network, steppers, batch)
        tokens += batch.ids.size  # padding included
        running = loss if step == first else 0.95 * running + 0.05 * loss
        spent = time.monotonic() - started
        if step < 20 or step % 50 == 49:
            speed = f"{tokens / spent:.0f} tok/s {spent:.0f} s"
            print(f"step {step + 1} loss {loss:.6f} mean {running:.4f} {speed}", flush=True)
        if step % every == every - 1 or step == plan.steps - 1:
            reached = scores(network, tokenizer, per_cell)
            print(f"scores at {step + 1}: mean {sum(reached.values()) / len(reached):.3f} {short(reached)}", flush=True)
            saved_checkpoint(network, folder)
            saved_state(folder, step + 1, network, steppers)
    return network


def short(reached: dict[str, float]) -> str:
    """Scores below one, worst first."""
    return " ".join(f"{cell}={value:.2f}" for cell, value in sorted(reached.items(), key=lambda x: x[1]) if value < 1)


def main() -> None:
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
    plan = FULL if chosen.steps is None else replace(FULL, phases=(replace(FULL.phases[0], steps=chosen.steps),))
    trained(plan, chosen.folder, chosen.every, chosen.per_cell, chosen.resume)


if __name__ == "__main__":
    main()
