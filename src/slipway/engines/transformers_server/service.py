"""What the server serves, and how a request's body becomes work: sequences to generate and the form of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from slipway.engines.transformers_server import fields
from slipway.engines.transformers_server.chat_form import StreamedChat, ToolReading, WholeChat
from slipway.engines.transformers_server.choices import Choice, ChoiceMaker
from slipway.engines.transformers_server.completion_form import StreamedText, WholeText
from slipway.engines.transformers_server.constraints import Constraint
from slipway.engines.transformers_server.events import Chunks, Head
from slipway.engines.transformers_server.fields import Body
from slipway.engines.transformers_server.grammars import Compile
from slipway.engines.transformers_server.hermes import CLOSE, OPEN, CallReader
from slipway.engines.transformers_server.run import Form
from slipway.engines.transformers_server.templates import ChatTemplate
from slipway.engines.transformers_server.tokens import Tokenizer
from slipway.engines.transformers_server.tools import Calling, tools_constraint
from slipway.engines.transformers_server.wishes import (
    ChatWishes,
    CompletionWishes,
    Defaults,
    Prompt,
    Wishes,
    read_chat,
    read_completion,
)
from slipway.engines.transformers_server.words import Asked, Generator, Sampling
from slipway.errors import BadRequest, UnknownName


@dataclass(frozen=True, slots=True)
class Job:
    """One request, ready to be generated. ``asked`` and ``choices`` belong together, one by one."""

    asked: tuple[Asked, ...]
    choices: tuple[Choice, ...]
    form: Form
    stream: bool
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Service:
    """The model as the HTTP side sees it. Its methods may be called from any thread."""

    alias: str
    tokenizer: Tokenizer
    template: ChatTemplate | None
    generator: Generator
    compile: Compile
    defaults: Defaults
    tool_parser: str | None

    def chat(self, data: bytes) -> Job:
        """The work of a request to /v1/chat/completions. Raises BadRequest, and UnknownName for another model."""
        body = self._body(data)
        if self.template is None:
            raise BadRequest("this checkpoint has no chat template: use /v1/completions", code="unsupported_parameter")
        wishes = read_chat(body, self.defaults, self.tool_parser, len(self.tokenizer.bytes_of))
        shown = [tool.given for tool in wishes.tools.offered]
        text = self.template.render(wishes.messages, shown, wishes.template_arguments)
        prompt = self._encode(text, add_special=False)
        special_tags = self.tokenizer.token_id(OPEN) in self.tokenizer.special
        constraint = tools_constraint(wishes.tools, wishes.constraint, special_tags)
        sampling = self._sampling(wishes, constraint, [prompt])
        choices = tuple(self._maker(wishes, starts_text=True).make(index) for index in range(wishes.n))
        asked = tuple(Asked(prompt, _seeded(sampling, index)) for index in range(wishes.n))
        return Job(asked, choices, self._chat_form(wishes, len(prompt)), wishes.stream, len(prompt))

    def completion(self, data: bytes) -> Job:
        """The work of a request to /v1/completions. Raises BadRequest, and UnknownName for another model."""
        wishes = read_completion(self._body(data), self.defaults, len(self.tokenizer.bytes_of))
        prompts = [self._encode(each, add_special=True) for each in wishes.prompts]
        sampling = self._sampling(wishes, wishes.constraint, prompts)
        if wishes.best_of > wishes.n and sampling.logprobs is None:
            sampling = replace(sampling, logprobs=0)
        maker = self._maker(wishes, starts_text=False)
        choices = tuple(maker.make(index) for index in range(len(prompts) * wishes.best_of))
        asked = tuple(Asked(each, _seeded(sampling, number)) for each in prompts for number in range(wishes.best_of))
        form = self._completion_form(wishes, [len(each) for each in prompts])
        return Job(asked, choices, form, wishes.stream, sum(map(len, prompts)))

    def _body(self, data: bytes) -> Body:
        body = fields.read_body(data)
        model = fields.text(body, "model")
        if not model:
            raise BadRequest("model is missing: name the model", code="missing_parameter", param="model")
        if model != self.alias:
            raise UnknownName("model", model[:100], [self.alias])
        return body

    def _encode(self, prompt: Prompt, *, add_special: bool) -> tuple[int, ...]:
        if not isinstance(prompt, str):
            ids = prompt
        else:
            try:
                ids = tuple(self.tokenizer.encode(prompt, add_special=add_special))
            except ValueError:
                raise BadRequest("the prompt is not Unicode text: it has half of a surrogate pair",
                                 code="invalid_value") from None  # fmt: skip
        if not ids:
            raise BadRequest("the prompt is empty: at least one token is needed", code="invalid_value")
        return ids

    def _sampling(self, wishes: Wishes, constraint: Constraint | None, prompts: Sequence[Sequence[int]]) -> Sampling:
        """Of several prompts the longest decides."""
        longest = max(map(len, prompts))
        room = self.generator.context_length - longest
        if room < max(1, wishes.max_tokens or 0):
            raise self._too_long(longest, wishes.max_tokens)
        return replace(wishes.sampling, max_tokens=wishes.tokens_for(room), grammar=self._grammar(constraint))

    def _too_long(self, prompt: int, wanted: int | None) -> BadRequest:
        context = self.generator.context_length
        asked = f"{prompt} tokens of prompt and {wanted} to generate" if wanted else f"{prompt} tokens of prompt"
        return BadRequest(
            f"this model's context holds {context} tokens; the request has {asked}: "
            "shorten the prompt or ask for fewer tokens",
            code="context_length_exceeded",
            param="messages" if not wanted else "max_tokens",
        )

    def _grammar(self, constraint: Constraint | None) -> str | None:
        if constraint is None:
            return None
        try:
            return self.compile(constraint)
        except ValueError as error:
            raise BadRequest(
                f"{constraint.param} cannot be followed: {error}", code="invalid_value", param=constraint.param
            ) from None

    def _maker(self, wishes: Wishes, *, starts_text: bool) -> ChoiceMaker:
        tokenizer = self.tokenizer
        shown = {tokenizer.token_id(OPEN), tokenizer.token_id(CLOSE)} if _calls(wishes) else set()
        return ChoiceMaker(
            tokenizer=tokenizer,
            stops=wishes.stops,
            include_stop=wishes.include_stop,
            ends=tokenizer.ends | set(wishes.sampling.stop_ids),
            hidden=frozenset() if wishes.show_special else tokenizer.special - shown,
            starts_text=starts_text,
            with_logprobs=wishes.sampling.logprobs is not None,
        )

    def _chat_form(self, wishes: ChatWishes, prompt_tokens: int) -> Form:
        readings = [
            ToolReading(CallReader() if _calls(wishes) else None, wishes.tools.parallel) for _ in range(wishes.n)
        ]
        if not wishes.stream:
            head = Head.new("chatcmpl", "chat.completion", self.alias)
            return WholeChat(head, prompt_tokens, readings, self.tokenizer)
        chunks = Chunks(Head.new("chatcmpl", "chat.completion.chunk", self.alias), wishes.include_usage)
        return StreamedChat(chunks, prompt_tokens, readings, self.tokenizer)

    def _completion_form(self, wishes: CompletionWishes, prompts: Sequence[int]) -> Form:
        head = Head.new("cmpl", "text_completion", self.alias)
        echoes = [self._text(prompt) if wishes.echo else "" for prompt in wishes.prompts]
        if not wishes.stream:
            return WholeText(head, prompts, echoes, wishes.n, self.tokenizer)
        each = [echo for echo in echoes for _ in range(wishes.n)]
        return StreamedText(Chunks(head, wishes.include_usage), prompts, each, self.tokenizer)

    def _text(self, prompt: Prompt) -> str:
        if isinstance(prompt, str):
            return prompt
        return b"".join(self.tokenizer.bytes_of[token] for token in prompt).decode("utf-8", "replace")


def _calls(wishes: Wishes) -> bool:
    return isinstance(wishes, ChatWishes) and wishes.tools.calling is not Calling.NONE


def _seeded(sampling: Sampling, number: int) -> Sampling:
    """Several answers from one seed are drawn with the seeds after it: equal seeds would give equal answers."""
    return sampling if sampling.seed is None or not number else replace(sampling, seed=(sampling.seed + number) % 2**63)
