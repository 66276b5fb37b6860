"""Slipway's own batching of Transformers models beside the library's batching and its plain generate, in one process.

Run it with the Python of a Transformers environment: ``PYTHONPATH=src PYTHON bench/transformers_scheduler.py MODEL``,
or ``--random 100M`` for a model of that size with random weights. Every client sends a prompt of its own and takes 64
tokens.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from slipway.engines.transformers_server.arguments import read_arguments
from slipway.engines.transformers_server.generator import open_generator
from slipway.engines.transformers_server.words import Asked, Generator, Progress, Sampling

PROMPT_TOKENS, NEW_TOKENS, ROUNDS = 32, 64, 3
Prompts = Sequence[tuple[int, ...]]
Answers = list[list[int]]
Arm = Callable[[Prompts], Answers]

# hidden, intermediate, layers, heads, key and value heads, vocabulary
SIZES = {"5M": (256, 768, 6, 4, 2, 2048), "100M": (768, 2048, 12, 12, 4, 16384)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--random", choices=SIZES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch; by default what the server would use")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument(
        "--arms", nargs="+", choices=("ours", "batching", "generate"), default=["ours", "batching", "generate"]
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or random_model(Path(folder), arguments.random or "5M")
        measure(model, arguments)


def measure(model: Path, arguments: argparse.Namespace) -> None:
    """Print tokens a second of wall clock and of processor time: the best of some rounds, arms in turn."""
    generator = open_ours(model, arguments.device, max(arguments.clients))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16, attn_implementation="sdpa")
    plain.to(arguments.device).eval()
    print(f"{model}: {torch.get_num_threads()} threads, {NEW_TOKENS} new tokens after {PROMPT_TOKENS}")
    with library_batching(plain, max(arguments.clients)) as batching:
        arms: dict[str, Arm] = {
            "ours": lambda prompts: ours(generator, prompts),
            "batching": batching,
            "generate": lambda prompts: generate(plain, prompts),
        }
        for clients in arguments.clients:
            for name, (wall, processor) in best_of({name: arms[name] for name in arguments.arms}, clients).items():
                print(
                    f"{clients:4} clients  {name:9} {wall:8.0f} tok/s  {processor:8.0f} tok/s of processor", flush=True
                )
    generator.close()


def best_of(arms: dict[str, Arm], clients: int) -> dict[str, tuple[float, float]]:
    best = dict.fromkeys(arms, (0.0, 0.0))
    for turn in range(ROUNDS + 1):  # the first is not counted
        prompts = [prompt(clients * turn + number) for number in range(clients)]
        for name, arm in arms.items():
            wall, processor = time.perf_counter(), time.process_time()
            tokens = sum(len(answer) for answer in arm(prompts))
            figures = tokens / (time.perf_counter() - wall), tokens / (time.process_time() - processor)
            assert tokens == clients * NEW_TOKENS, f"{name} gave {tokens} tokens"
            if turn:
                best[name] = max(best[name][0], figures[0]), max(best[name][1], figures[1])
    return best


def prompt(number: int) -> tuple[int, ...]:
    """Different from all others, so that no prefix is reused."""
    generator = torch.Generator().manual_seed(number)
    return tuple(torch.randint(5, 1000, (PROMPT_TOKENS,), generator=generator).tolist())


def open_ours(model: Path, device: str, parallel: int) -> Generator:
    flags = {
        "model": model,
        "alias": "bench",
        "port": 0,
        "context-length": 1024,
        "parallel": parallel,
        "device": device,
    }
    return open_generator(read_arguments([*(f"--{name}={value}" for name, value in flags.items()), "--dtype=bfloat16"]))


def ours(generator: Generator, prompts: Prompts) -> Answers:
    answers: Answers = [[] for _ in prompts]
    left = threading.Semaphore(0)

    def take(answer: list[int], progress: Progress) -> None:
        answer.extend(token.id for token in progress.tokens)
        if progress.ending is not None:
            left.release()

    sampling = Sampling(NEW_TOKENS, temperature=0, ignore_eos=True)
    for each, answer in zip(prompts, answers, strict=True):
        generator.submit(Asked(each, sampling), lambda progress, answer=answer: take(answer, progress))  # type: ignore[misc]
    for _ in prompts:
        left.acquire()
    return answers


@contextmanager
def library_batching(model: Any, parallel: int) -> Iterator[Arm]:
    """The library's batching, kept running between rounds."""
    config = GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=-1, pad_token_id=0)
    batching = ContinuousBatchingConfig(page_size=32, num_blocks=parallel * 8, max_batch_tokens=2048)

    def run(prompts: Prompts) -> Answers:
        found = model.generate_batch(
            [list(each) for each in prompts],
            generation_config=config,
            continuous_batching_config=batching,
            persistent_manager=True,
            warmup=False,
        )
        return [each.generated_tokens for each in found.values()]

    yield run
    model.destroy_cached_continuous_batching_manager()


def generate(model: Any, prompts: Prompts) -> Answers:
    """All prompts as one fixed batch: they have the same length, and nothing can join or leave."""
    ids = torch.tensor(prompts, device=model.device)
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=0,
    )
    answers: Answers = made[:, ids.shape[1] :].tolist()
    return answers


def random_model(folder: Path, size: str) -> Path:
    hidden, intermediate, layers, heads, shared, vocabulary = SIZES[size]
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=shared,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
