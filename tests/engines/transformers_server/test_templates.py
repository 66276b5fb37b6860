"""Chat templates: where they come from, what they may use, what they may not do."""

import json
from pathlib import Path

import pytest

import slipway
from slipway.engines.transformers_server.defaults import read_defaults
from slipway.engines.transformers_server.templates import BadTemplate, ChatTemplate, read_template
from slipway.errors import BadRequest

MESSAGES = [{"role": "user", "content": "Hi"}]
PILOT = Path(slipway.__file__).parent / "pilot"


def rendered(source: str, **arguments: object) -> str:
    return ChatTemplate({"default": source}, {"bos_token": "<s>"}).render(MESSAGES, [], arguments)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ bos_token }}{{ messages[0].content }}{{ add_generation_prompt }}", "<s>HiTrue"),
        ("{% for m in messages %}\n    {%- if true %}\n  x\n{% endif %}\n{% endfor %}\n", "  x\n"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% generation %}kept{% endgeneration %}", "kept"),
        ("{{ {'b': '<中>', 'a': 1} | tojson }}", '{"b": "<中>", "a": 1}'),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("{{ tools is none }}{{ tools is defined }}", "TrueTrue"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{{ enable_thinking }}", "False"),
    ],
)
def test_what_templates_use(source: str, text: str) -> None:
    assert rendered(source, enable_thinking=False) == text


def test_arguments_of_a_request_do_not_replace_messages_or_special_tokens() -> None:
    source = "{{ messages[0].content }}{{ bos_token }}{{ tools is none }}"
    assert rendered(source, messages=[], bos_token="x", tools=[1]) == "Hi<s>True"


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('no') }}",
        "{{ messages[0].missing.more }}",
        "{{ 1 / 0 }}",
        "{{ messages + 1 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ range(10**9) | list }}",
    ],
)
def test_what_a_template_refuses_or_may_not_do_is_the_clients_error(source: str) -> None:
    with pytest.raises(BadRequest, match="chat template"):
        rendered(source)


def test_a_template_that_is_none_is_told_at_once() -> None:
    with pytest.raises(BadTemplate, match="line 2"):
        ChatTemplate({"default": "x\n{% if %}"}, {})


def write(directory: Path, **files: object) -> None:
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        path = directory / f"{stem}.{ending}"
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_where_a_template_comes_from(tmp_path: Path) -> None:
    assert read_template(tmp_path, None, {}) is None
    write(tmp_path, chat_template_json={"chat_template": "processor"})
    assert render(tmp_path) == "processor"
    write(tmp_path, tokenizer_config_json={"chat_template": "config"})
    assert render(tmp_path) == "config"
    write(tmp_path, chat_template_jinja="file")
    assert render(tmp_path) == "file"
    write(tmp_path, given_jinja="given")
    assert render(tmp_path, tmp_path / "given.jinja") == "given"


def test_a_template_for_tools_is_taken_where_there_are_tools(tmp_path: Path) -> None:
    templates = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "{{ tools[0].a }}"}]
    write(tmp_path, tokenizer_config_json={"chat_template": templates})
    template = read_template(tmp_path, None, {})
    assert template is not None
    assert template.render(MESSAGES, [], {}) == "plain"
    assert template.render(MESSAGES, [{"a": "tool"}], {}) == "tool"


def render(directory: Path, given: Path | None = None) -> str:
    template = read_template(directory, given, {})
    assert template is not None
    return template.render(MESSAGES, [], {})


def test_the_pilots_template() -> None:
    template = read_template(PILOT, None, {"eos_token": "<|im_end|>"})
    assert template is not None
    tool = {"type": "function", "function": {"name": "f", "description": "Does it."}}
    call = {"type": "function", "function": {"name": "f", "arguments": {"城": "北京"}}}
    text = template.render([{"role": "assistant", "content": "", "tool_calls": [call]}], [tool], {})
    assert text == (
        "<|im_start|>system\n<tools>\nf() Does it.\n</tools><|im_end|>\n<|im_start|>assistant\n"
        '<tool_call>\n{"name": "f", "arguments": {"城": "北京"}}\n</tool_call><|im_end|>\n<|im_start|>assistant\n'
    )


def test_defaults_come_from_the_checkpoint_and_the_flags(tmp_path: Path) -> None:
    write(tmp_path, generation_config_json={"temperature": 0.7, "top_k": 20, "repetition_penalty": None, "top_p": "x"})
    defaults = read_defaults(tmp_path, 64, 5)
    assert (defaults.temperature, defaults.top_k, defaults.repetition_penalty, defaults.top_p) == (0.7, 20, 1.0, 1.0)
    assert (defaults.max_new_tokens, defaults.seed) == (64, 5)
    assert read_defaults(tmp_path / "nowhere", None, None).temperature == 1.0
