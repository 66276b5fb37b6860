"""The generating side with the real library, on the pilot model. Needs a Transformers environment with pytest:

``PYTHONPATH=src:. PYTHON -m pytest -p no:cacheprovider tests/real/transformers_server``
"""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
llguidance = pytest.importorskip("llguidance")

from slipway.engines.transformers_server.arguments import read_arguments  # noqa: E402
from slipway.engines.transformers_server.generator import BatchGenerator, open_generator  # noqa: E402
from slipway.engines.transformers_server.words import Asked, Ending, Progress, Sampling, Token  # noqa: E402

PILOT = Path(__file__).parents[3] / "src" / "slipway" / "pilot"
CONTEXT = 512
pytestmark = pytest.mark.engine


@dataclass
class Heard:
    tokens: list[Token] = field(default_factory=list)
    ending: Ending | None = None
    cached: int = 0

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.tokens]


@pytest.fixture(scope="module")
def generator() -> Iterator[BatchGenerator]:
    flags = ["--model", str(PILOT), "--alias", "pilot", "--port", "0", "--context-length", str(CONTEXT)]
    opened = open_generator(
        read_arguments([*flags, "--parallel", "8", "--max-batch-tokens", "96", "--dtype", "bfloat16"])
    )
    yield opened
    opened.close()


def generate(generator: BatchGenerator, prompts: Sequence[tuple[int, ...]], **wishes: Any) -> list[Heard]:
    heard, left = [Heard() for _ in prompts], threading.Semaphore(0)

    def take(one: Heard, progress: Progress) -> None:
        one.tokens += progress.tokens
        one.cached += progress.cached_tokens
        if progress.ending is not None:
            one.ending = progress.ending
            left.release()

    for prompt, one in zip(prompts, heard, strict=True):
        generator.submit(Asked(prompt, Sampling(**wishes)), lambda progress, one=one: take(one, progress))  # type: ignore[misc]
    for _ in prompts:
        assert left.acquire(timeout=300)
    return heard


@cache
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(PILOT)


@cache
def truths() -> tuple[tuple[tuple[int, ...], str], ...]:
    """Prompts and right answers, a sample of all kinds."""
    lines = [json.loads(line) for line in (PILOT / "truth.jsonl").read_text().splitlines()]
    asked = [line for line in lines if "answer" in line][::9]
    texts = [
        tokenizer().apply_chat_template(line["messages"], add_generation_prompt=True, tokenize=False) for line in asked
    ]
    ids = [tuple(tokenizer()(text, add_special_tokens=False).input_ids) for text in texts]
    return tuple((prompt, line["answer"]) for prompt, line in zip(ids, asked, strict=True))


PROMPT = (11, 12, 13, 14, 15, 16, 17, 18, 19, 20) * 4


def test_greedy_answers_are_the_library_s_own_in_any_company(generator: BatchGenerator) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(PILOT, dtype=torch.bfloat16)
    prompts = [prompt for prompt, _ in truths()]
    together = generate(generator, prompts, max_tokens=48, temperature=0)
    for prompt, one in zip(prompts, together, strict=True):
        ids = torch.tensor([prompt])
        own = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=48, do_sample=False)
        assert one.ids == own[0, len(prompt) :].tolist()


def test_answers_are_right(generator: BatchGenerator) -> None:
    heard = generate(generator, [prompt for prompt, _ in truths()], max_tokens=64, temperature=0)
    answers = [tokenizer().decode(one.ids, skip_special_tokens=True).strip() for one in heard]
    right = sum(answer == truth for answer, (_, truth) in zip(answers, truths(), strict=True))
    assert right >= 0.95 * len(answers)


def test_a_known_beginning_is_not_computed_again(generator: BatchGenerator) -> None:
    first = generate(generator, [PROMPT], max_tokens=8, temperature=0, ignore_eos=True)
    again = generate(generator, [PROMPT] * 3, max_tokens=8, temperature=0, ignore_eos=True)
    assert [one.cached for one in again] == [len(PROMPT) - 1] * 3
    assert [one.ids for one in again] == [first[0].ids] * 3


def test_a_seed_draws_the_same_tokens_in_any_company(generator: BatchGenerator) -> None:
    wishes = {"max_tokens": 16, "temperature": 4.0, "ignore_eos": True}
    alone = generate(generator, [PROMPT], seed=7, **wishes)[0]
    assert [one.ids for one in generate(generator, [PROMPT] * 5, seed=7, **wishes)] == [alone.ids] * 5
    assert generate(generator, [PROMPT], seed=8, **wishes)[0].ids != alone.ids


def test_filters_and_bias(generator: BatchGenerator) -> None:
    wishes = {"max_tokens": 8, "ignore_eos": True}
    greedy = generate(generator, [PROMPT], temperature=0, **wishes)[0].ids
    assert generate(generator, [PROMPT], temperature=3.0, top_k=1, **wishes)[0].ids == greedy
    assert generate(generator, [PROMPT], temperature=3.0, top_p=1e-9, **wishes)[0].ids == greedy
    assert generate(generator, [PROMPT], temperature=3.0, min_p=1.0, **wishes)[0].ids == greedy
    assert generate(generator, [PROMPT], temperature=0, logit_bias={50: 100.0}, **wishes)[0].ids == [50] * 8


def test_log_probabilities_are_of_the_model_s_own_distribution(generator: BatchGenerator) -> None:
    wishes = {"max_tokens": 1, "temperature": 0, "logprobs": 3, "ignore_eos": True}
    token = generate(generator, [PROMPT], logit_bias={50: 100.0}, **wishes)[0].tokens[0]
    assert token.id == 50
    assert token.logprob is not None
    assert token.logprob < token.top[0][1] < 0
    assert [value for _, value in token.top] == sorted((value for _, value in token.top), reverse=True)


def test_a_grammar_holds_at_any_temperature(generator: BatchGenerator) -> None:
    grammar = llguidance.grammar_from("regex", "[0-9]{4}-[a-c]{2}")
    for one in generate(generator, [PROMPT] * 3, max_tokens=40, temperature=2.0, grammar=grammar):
        text = tokenizer().decode([token for token in one.ids if token not in (2045, 2047)])
        assert one.ending is Ending.STOP
        assert len(text) == 7 and text[:4].isdigit() and text[4] == "-"


def test_lengths_end_answers(generator: BatchGenerator) -> None:
    wishes = {"temperature": 0, "ignore_eos": True}
    short = generate(generator, [PROMPT], max_tokens=5, **wishes)[0]
    assert (len(short.tokens), short.ending) == (5, Ending.LENGTH)
    full = generate(generator, [PROMPT * 12], max_tokens=500, **wishes)[0]
    assert (len(full.tokens), full.ending) == (CONTEXT - 12 * len(PROMPT), Ending.LENGTH)


@pytest.mark.parametrize(
    ("prompt", "wishes", "words"),
    [
        ((), {"max_tokens": 1}, "empty"),
        (PROMPT * 13, {"max_tokens": 1}, "context of 512"),
        (PROMPT, {"max_tokens": 0}, "at least 1"),
        ((999999,), {"max_tokens": 1}, "vocabulary"),
        (PROMPT, {"max_tokens": 1, "grammar": "start: ["}, "grammar"),
    ],
)
def test_what_can_never_be_answered_is_refused(
    generator: BatchGenerator, prompt: tuple[int, ...], wishes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        generator.submit(Asked(prompt, Sampling(**wishes)), lambda _: None)


def test_a_cancelled_sequence_ends_and_its_slot_is_free(generator: BatchGenerator) -> None:
    ended, heard = threading.Event(), list[Progress]()

    def take(progress: Progress) -> None:
        heard.append(progress)
        if progress.ending is not None:
            ended.set()

    number = generator.submit(Asked(PROMPT, Sampling(max_tokens=450, temperature=0, ignore_eos=True)), take)
    generator.cancel(number)
    assert ended.wait(timeout=60)
    assert heard[-1].ending is Ending.CANCELLED
    assert len(heard) < 450
    assert len(generate(generator, [PROMPT] * 9, max_tokens=2, temperature=0)) == 9
