"""How the next tokens are chosen: each sequence by its own wishes, all in one go.

The order is: logit_bias and penalties, the grammar, temperature, top_k, top_p, min_p. A draw is one number from the
sequence's own generator, looked up in the cumulated probabilities: so a seed gives the same tokens in any company.
"""

import random
from collections.abc import Callable, Sequence

import torch

from slipway.engines.transformers_server.matching import Matcher, forbidden
from slipway.engines.transformers_server.words import Sampling, Token

_CANDIDATES = 1024  # most likely tokens that are sorted, unless top_p needs more
_NEVER = float("-inf")


class Choosing:
    """What choosing needs to remember of one sequence."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], matcher: Matcher | None) -> None:
        self.sampling = sampling
        self.matcher = matcher
        self.greedy = sampling.temperature < 1e-5
        self.penalised = (
            sampling.presence_penalty != 0 or sampling.frequency_penalty != 0 or sampling.repetition_penalty != 1
        )
        changed = bool(self.penalised or sampling.logit_bias or matcher is not None)
        self.plain = self.greedy and not changed and sampling.logprobs is None
        self.changed = changed
        self.filtered = not self.greedy and (sampling.top_k > 0 or sampling.top_p < 1)
        self._draw = random.Random(sampling.seed).random  # noqa: S311 - sampling, not secrecy
        self._prompt = prompt
        self._seen: torch.Tensor | None = None
        self._counts: torch.Tensor | None = None

    def draw(self) -> float:
        """Uniform in [0, 1)."""
        return self._draw()

    def took(self, token: int) -> None:
        if self._seen is not None and self._counts is not None:
            self._seen[token] = True
            self._counts[token] += 1

    def told(self, vocabulary: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """[vocabulary]: whether a token is in prompt or answer, and how often in the answer."""
        if self._seen is None or self._counts is None:
            self._seen = torch.zeros(vocabulary, dtype=torch.bool, device=device)
            self._seen[torch.tensor(self._prompt, device=device)] = True
            self._counts = torch.zeros(vocabulary, device=device)
        return self._seen, self._counts


def choose(logits: torch.Tensor, rows: Sequence[Choosing]) -> list[Token]:
    """A token for each row of logits [rows, vocabulary]."""
    if all(row.plain for row in rows):
        return [Token(token) for token in logits.argmax(-1).tolist()]
    raw = logits.float()
    scores = raw.clone() if any(row.changed for row in rows) else raw
    _bias(scores, rows)
    _penalise(scores, rows)
    _constrain(scores, rows)
    chosen = scores.argmax(-1)
    _among(rows, lambda row: not row.greedy and not row.filtered, scores, chosen, _draw_any)
    _among(rows, lambda row: row.filtered, scores, chosen, _draw_filtered)
    tokens = chosen.tolist()
    for row, token in zip(rows, tokens, strict=True):
        row.took(token)
    return _with_logprobs(raw, chosen, tokens, rows)


Draw = Callable[[torch.Tensor, Sequence[Choosing]], torch.Tensor]


def _among(
    rows: Sequence[Choosing], wanted: Callable[[Choosing], bool], scores: torch.Tensor, chosen: torch.Tensor, draw: Draw
) -> None:
    """Draw for the wanted rows only."""
    places = [place for place, row in enumerate(rows) if wanted(row)]
    if places:
        index = _tensor(places, scores)
        chosen[index] = draw(_warm(scores[index], [rows[place] for place in places]), [rows[p] for p in places])


def _bias(scores: torch.Tensor, rows: Sequence[Choosing]) -> None:
    entries = [(n, token, bias) for n, row in enumerate(rows) for token, bias in row.sampling.logit_bias.items()]
    if entries:
        at, tokens, biases = zip(*entries, strict=True)
        scores.index_put_((_tensor(at, scores), _tensor(tokens, scores)), _tensor(biases, scores), accumulate=True)


def _penalise(scores: torch.Tensor, rows: Sequence[Choosing]) -> None:
    places = [place for place, row in enumerate(rows) if row.penalised]
    if not places:
        return
    index = _tensor(places, scores)
    wishes = [rows[place].sampling for place in places]
    told = [rows[place].told(scores.shape[1], scores.device) for place in places]
    seen, counts = torch.stack([each[0] for each in told]), torch.stack([each[1] for each in told])
    some = scores[index]
    repetition = _column([wish.repetition_penalty for wish in wishes], scores)
    some = torch.where(seen, torch.where(some > 0, some / repetition, some * repetition), some)
    some -= counts * _column([wish.frequency_penalty for wish in wishes], scores)
    some -= (counts > 0) * _column([wish.presence_penalty for wish in wishes], scores)
    scores[index] = some


def _constrain(scores: torch.Tensor, rows: Sequence[Choosing]) -> None:
    matchers = [(place, row.matcher) for place, row in enumerate(rows) if row.matcher is not None]
    if matchers:
        masks = forbidden([matcher.mask() for _, matcher in matchers], scores.shape[1]).to(scores.device)
        index = _tensor([place for place, _ in matchers], scores)
        scores[index] = scores[index].masked_fill_(masks, _NEVER)


def _warm(scores: torch.Tensor, rows: Sequence[Choosing]) -> torch.Tensor:
    return scores / _column([row.sampling.temperature for row in rows], scores)


def _draw_any(scores: torch.Tensor, rows: Sequence[Choosing]) -> torch.Tensor:
    """From all tokens, those that min_p leaves."""
    return _draw(_apart_from_unlikely(scores, rows), rows)


def _draw_filtered(scores: torch.Tensor, rows: Sequence[Choosing]) -> torch.Tensor:
    """From the most likely tokens, sorted: top_k, then top_p of what is left, then min_p."""
    vocabulary = scores.shape[1]
    top_k = [min(row.sampling.top_k or vocabulary, vocabulary) for row in rows]
    values, tokens = _candidates(scores, rows, top_k)
    ranks = torch.arange(values.shape[1], device=scores.device)
    values = values.masked_fill(ranks >= _column(top_k, scores), _NEVER)
    # Of those that top_k leaves; where it leaves all, the sum is over the whole vocabulary, sorted or not.
    whole = [place for place, most in enumerate(top_k) if most > values.shape[1]]
    total = values.logsumexp(-1, keepdim=True)
    if whole:
        index = _tensor(whole, scores)
        total[index] = scores[index].logsumexp(-1, keepdim=True)
    chances = (values - total).exp()
    before = chances.cumsum(-1) - chances
    values = values.masked_fill(before >= _column([row.sampling.top_p for row in rows], scores), _NEVER)
    place = _draw(_apart_from_unlikely(values, rows), rows)
    return tokens.gather(1, place[:, None])[:, 0]


def _candidates(
    scores: torch.Tensor, rows: Sequence[Choosing], top_k: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Enough of the most likely tokens for every row's top_k and top_p, in falling order."""
    vocabulary = scores.shape[1]
    bounded = [most for most in top_k if most < vocabulary]
    count = min(max([_CANDIDATES, *bounded]), vocabulary)
    values, tokens = scores.topk(count, -1)
    if count < vocabulary:
        held = (values.logsumexp(-1) - scores.logsumexp(-1)).exp().tolist()
        if any(
            most == vocabulary and share < row.sampling.top_p
            for most, share, row in zip(top_k, held, rows, strict=True)
        ):
            values, tokens = scores.sort(-1, descending=True)
    return values, tokens


def _apart_from_unlikely(scores: torch.Tensor, rows: Sequence[Choosing]) -> torch.Tensor:
    least = [row.sampling.min_p for row in rows]
    if not any(least):
        return scores
    floor = scores.amax(-1, keepdim=True) + _column(least, scores).log()  # log(0) keeps all
    return scores.masked_fill(scores < floor, _NEVER)


def _draw(scores: torch.Tensor, rows: Sequence[Choosing]) -> torch.Tensor:
    """The first place whose cumulated probability exceeds the row's draw; never one without probability."""
    exact = torch.float32 if scores.device.type == "mps" else torch.float64  # Apple GPUs have no float64
    cumulated = scores.softmax(-1).cumsum(-1, dtype=exact)
    drawn = torch.tensor([[row.draw()] for row in rows], dtype=exact, device=scores.device)
    # A draw next to 1 may round to the total itself: its place is then the last that has probability.
    below = torch.nextafter(cumulated[:, -1:], torch.zeros_like(drawn))
    return (cumulated <= torch.minimum(drawn * cumulated[:, -1:], below)).sum(-1)


def _with_logprobs(
    raw: torch.Tensor, chosen: torch.Tensor, tokens: Sequence[int], rows: Sequence[Choosing]
) -> list[Token]:
    places = [place for place, row in enumerate(rows) if row.sampling.logprobs is not None]
    made = [Token(token) for token in tokens]
    if not places:
        return made
    index = _tensor(places, raw)
    logs = raw[index].log_softmax(-1)
    own = logs.gather(1, chosen[index][:, None])[:, 0].tolist()
    most = min(max(rows[place].sampling.logprobs or 0 for place in places), raw.shape[1])
    values, numbers = (each.tolist() for each in logs.topk(most, -1))
    for n, place in enumerate(places):
        top = tuple(zip(numbers[n], values[n], strict=True))[: rows[place].sampling.logprobs]
        made[place] = Token(tokens[place], own[n], top)
    return made


def _tensor(values: Sequence[int] | Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, device=like.device)


def _column(values: Sequence[int] | Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]
