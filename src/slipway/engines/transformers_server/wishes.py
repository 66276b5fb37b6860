"""What a request wishes, read and checked: the fields both endpoints take, and those of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from slipway.engines.transformers_server import fields
from slipway.engines.transformers_server.constraints import Constraint, read_constraint
from slipway.engines.transformers_server.fields import Body
from slipway.engines.transformers_server.messages import Message, read_messages
from slipway.engines.transformers_server.tools import Tools, read_tools
from slipway.engines.transformers_server.words import Sampling
from slipway.errors import BadRequest

MOST_CHOICES = 128  # of one request, over all its prompts
_MOST_STOPS = 64
_MOST_TOP = 20
_COMPLETION_TOKENS: Final = 16  # OpenAI's default for /v1/completions; a chat's is the rest of the context

_ELSEWHERE = "this server does not have it"
_UNSUPPORTED = {
    "allowed_token_ids": "use logit_bias or structured_outputs",
    "bad_words": "use logit_bias",
    "chat_template": "the server's own is used; it takes chat_template_kwargs",
    "min_tokens": "use ignore_eos with max_tokens",
    "prompt_logprobs": _ELSEWHERE,
    "truncate_prompt_tokens": "send a prompt that fits",
    "use_beam_search": _ELSEWHERE,
}
_UNSUPPORTED_CHAT = {
    **_UNSUPPORTED,
    "audio": "this server version answers text only",
    "continue_final_message": "use /v1/completions",
    "function_call": "it is deprecated: use tool_choice",
    "functions": "they are deprecated: use tools",
    "prediction": _ELSEWHERE,
    "web_search_options": _ELSEWHERE,
}
_UNSUPPORTED_COMPLETION = {
    **_UNSUPPORTED,
    "messages": "use /v1/chat/completions",
    "prompt_embeds": "send text or token ids",
    "suffix": "this server continues prompts only",
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """Where a request says nothing: the checkpoint's generation_config.json and the server's flags."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_new_tokens: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What both endpoints take. ``sampling.max_tokens`` waits for the prompt: see ``tokens_for``."""

    n: int
    max_tokens: int | None  # as asked; None: ``default_tokens``, as far as the context has room
    default_tokens: int | None  # None: the rest of the context
    stream: bool
    include_usage: bool
    stops: tuple[str, ...]
    include_stop: bool
    show_special: bool
    sampling: Sampling
    constraint: Constraint | None

    def tokens_for(self, room: int) -> int:
        """How many tokens to generate at most, where the context has room for ``room``."""
        if self.max_tokens is not None:
            return self.max_tokens
        return room if self.default_tokens is None else min(room, self.default_tokens)


@dataclass(frozen=True, slots=True)
class ChatWishes(Wishes):
    messages: tuple[Message, ...]
    tools: Tools
    template_arguments: Mapping[str, Any]


Prompt = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompletionWishes(Wishes):
    prompts: tuple[Prompt, ...]
    echo: bool
    best_of: int


def read_chat(body: Body, defaults: Defaults, tool_parser: str | None, vocabulary: int) -> ChatWishes:
    fields.refuse(body, _UNSUPPORTED_CHAT)
    if any(each != "text" for each in fields.items(body, "modalities") or ()):
        raise BadRequest("modalities: this server version answers text only", code="unsupported_parameter",
                         param="modalities")  # fmt: skip
    messages = read_messages(body)
    extra = dict(fields.table(body, "chat_template_kwargs") or {})
    if (generation := body.get("add_generation_prompt")) is not None:
        extra["add_generation_prompt"] = fields.switch({"add_generation_prompt": generation}, "add_generation_prompt")
    top = fields.whole(body, "top_logprobs", 0, _MOST_TOP)
    wanted = fields.switch(body, "logprobs")
    if top and not wanted:
        raise BadRequest("top_logprobs needs logprobs: true", code="invalid_value", param="top_logprobs")
    most = fields.whole(body, "max_completion_tokens", 1, 2**31 - 1) or fields.whole(body, "max_tokens", 1, 2**31 - 1)
    sampling = replace(
        _sampling(body, defaults, vocabulary),
        logprobs=(top or 0) if wanted else None,
    )
    return ChatWishes(
        **_common(body, sampling),
        max_tokens=most,
        default_tokens=defaults.max_new_tokens,
        messages=messages,
        tools=read_tools(body, tool_parser),
        template_arguments=extra,
    )


def read_completion(body: Body, defaults: Defaults, vocabulary: int) -> CompletionWishes:
    fields.refuse(body, _UNSUPPORTED_COMPLETION)
    echo = fields.switch(body, "echo")
    most = fields.whole(body, "max_tokens", 0 if echo else 1, 2**31 - 1)
    logprobs = fields.whole(body, "logprobs", 0, _MOST_TOP)
    if echo and logprobs is not None:
        raise BadRequest("echo with logprobs is not supported: log probabilities are of generated tokens",
                         code="unsupported_parameter", param="echo")  # fmt: skip
    common = _common(body, replace(_sampling(body, defaults, vocabulary), logprobs=logprobs))
    best_of = fields.whole(body, "best_of", 1, MOST_CHOICES) or common["n"]
    _check_best_of(best_of, common["n"], common["stream"])
    prompts = _prompts(body.get("prompt"), vocabulary)
    if len(prompts) * best_of > MOST_CHOICES:
        raise BadRequest(f"{len(prompts)} prompts with {best_of} answers each are more than {MOST_CHOICES} answers",
                         code="invalid_value", param="prompt")  # fmt: skip
    return CompletionWishes(
        **common,
        max_tokens=most,
        default_tokens=defaults.max_new_tokens or _COMPLETION_TOKENS,
        prompts=prompts,
        echo=echo,
        best_of=best_of,
    )


def _common(body: Body, sampling: Sampling) -> dict[str, Any]:
    stream = fields.switch(body, "stream")
    options = fields.table(body, "stream_options")
    if options is not None and not stream:
        raise BadRequest("stream_options needs stream: true", code="invalid_value", param="stream_options")
    return {
        "n": fields.whole(body, "n", 1, MOST_CHOICES) or 1,
        "stream": stream,
        "include_usage": fields.switch(options or {}, "include_usage"),
        "stops": _stops(body),
        "include_stop": fields.switch(body, "include_stop_str_in_output"),
        "show_special": not fields.switch(body, "skip_special_tokens", True),
        "sampling": sampling,
        "constraint": read_constraint(body),
    }


def _sampling(body: Body, defaults: Defaults, vocabulary: int) -> Sampling:
    top_k = fields.whole(body, "top_k", -1, 2**31 - 1)
    seed = fields.whole(body, "seed", -(2**63), 2**64 - 1)
    penalty = fields.real(body, "repetition_penalty", defaults.repetition_penalty, 0, 100)
    if penalty == 0:
        raise fields.wrong("repetition_penalty", "a number greater than 0", 0)
    return Sampling(
        max_tokens=0,
        temperature=fields.real(body, "temperature", defaults.temperature, 0, 2),
        top_p=max(fields.real(body, "top_p", defaults.top_p, 0, 1), 1e-9),  # 0 is the most likely token alone
        top_k=defaults.top_k if top_k is None else max(top_k, 0),
        min_p=fields.real(body, "min_p", defaults.min_p, 0, 1),
        presence_penalty=fields.real(body, "presence_penalty", 0, -2, 2),
        frequency_penalty=fields.real(body, "frequency_penalty", 0, -2, 2),
        repetition_penalty=penalty,
        logit_bias=_logit_bias(body, vocabulary),
        seed=defaults.seed if seed is None else seed % 2**63,
        ignore_eos=fields.switch(body, "ignore_eos"),
        stop_ids=_token_ids(fields.items(body, "stop_token_ids") or (), "stop_token_ids", vocabulary),
    )


def _logit_bias(body: Body, vocabulary: int) -> dict[int, float]:
    bias = {}
    for key, value in (fields.table(body, "logit_bias") or {}).items():
        token = int(key) if key.isascii() and key.isdigit() and len(key) < 12 else -1
        if not 0 <= token < vocabulary:
            raise BadRequest(f"logit_bias: {key[:20]!r} is not a token of this model: they are 0 to {vocabulary - 1}",
                             code="invalid_value", param="logit_bias")  # fmt: skip
        bias[token] = fields.real({f"logit_bias.{key}": value}, f"logit_bias.{key}", 0, -100, 100)
    return bias


def _stops(body: Body) -> tuple[str, ...]:
    value = body.get("stop")
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > _MOST_STOPS:
        raise fields.wrong("stop", f"a text or a list of at most {_MOST_STOPS}", value)
    for each in stops:
        if not isinstance(each, str) or not each:
            raise BadRequest("stop should hold texts that are not empty", code="invalid_value", param="stop")
    return tuple(dict.fromkeys(stops))


def _check_best_of(best_of: int, n: int, stream: bool) -> None:
    if best_of < n:
        raise BadRequest(f"best_of is {best_of}, it should be at least n, which is {n}", code="invalid_value",
                         param="best_of")  # fmt: skip
    if stream and best_of > n:
        raise BadRequest("best_of greater than n cannot be streamed: the best is known at the end",
                         code="invalid_value", param="best_of")  # fmt: skip


def _prompts(value: object, vocabulary: int) -> tuple[Prompt, ...]:
    """OpenAI's four forms: a text, texts, token ids, lists of token ids."""
    if value is None:
        raise BadRequest("prompt is missing: a text or token ids", code="missing_parameter", param="prompt")
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not value:
        raise fields.wrong("prompt", "a text, token ids, or a list of them that is not empty", value)
    if all(isinstance(each, str) for each in value):
        return tuple(value)
    if all(isinstance(each, list) for each in value):
        return tuple(_token_ids(each, f"prompt[{place}]", vocabulary) for place, each in enumerate(value))
    return (_token_ids(value, "prompt", vocabulary),)


def _token_ids(value: Sequence[object], name: str, vocabulary: int) -> tuple[int, ...]:
    ids = []
    for each in value:
        if isinstance(each, bool) or not isinstance(each, int) or not 0 <= each < vocabulary:
            raise BadRequest(f"{name} should hold token ids of this model, 0 to {vocabulary - 1}",
                             code="invalid_value", param=name)  # fmt: skip
        ids.append(each)
    return tuple(ids)
