"""What the built-in families hold beyond the seed pages: the template that knows tools, and the embedded model."""

import json
import subprocess
import sys
from typing import Any

import jinja2
import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.resolve import PACKAGE
from slipway.types import Ability

CATALOGUE = load_catalogue()
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "It's <b>", "parameters": {"properties": {"city": {}}}},
}


@pytest.mark.parametrize("engine_json", ["transformers", "jinja2"])
def test_a_whole_conversation_with_tools(engine_json: str) -> None:
    calls = [
        {"function": {"name": "weather", "arguments": {"city": "上海"}}},
        {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
    ]
    text = render(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather in 上海 and Rome?"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "rain"},
            {"role": "tool", "content": "<sun> & wind", "name": "weather"},
            {"role": "assistant", "content": "Rain, sun."},
            {"role": "user", "content": "Thanks"},
        ],
        [WEATHER],
        engine_json,
    )
    start, rest = text.split("</tools>")
    assert start.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n")
    assert json.loads(start.split("<tools>\n")[1]) == WEATHER
    instructions, turns = rest.split("<|im_end|>\n", 1)
    assert instructions.endswith('<tool_call>\n{"name": "function", "arguments": {"parameter": "value"}}\n</tool_call>')
    shanghai = json.dumps("上海") if engine_json == "jinja2" else '"上海"'
    assert turns == (
        "<|im_start|>user\nWeather in 上海 and Rome?<|im_end|>\n"
        "<|im_start|>assistant\n"
        f'<tool_call>\n{{"name": "weather", "arguments": {{"city": {shanghai}}}}}\n</tool_call>\n'
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\nrain\n</tool_response>\n"
        "<tool_response>\n<sun> & wind\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nRain, sun.<|im_end|>\n"
        "<|im_start|>user\nThanks<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_without_tools_it_writes_what_the_checkpoints_own_template_writes() -> None:
    hello = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    user = {"role": "user", "content": "Hello"}
    assert render([user]) == "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n" + hello
    system = {"role": "system", "content": "Be kind."}
    assert render([system, user]) == "<|im_start|>system\nBe kind.<|im_end|>\n" + hello


def test_text_before_a_call_stays_and_missing_arguments_are_none() -> None:
    call = {"name": "now"}
    text = render([{"role": "assistant", "content": "Wait.", "tool_calls": [call]}])
    assert 'Wait.\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call><|im_end|>' in text


def test_odd_conversations_are_rendered_too() -> None:
    later = [{"role": "user", "content": ""}, {"role": "system", "content": "Now in French."}]
    assert "<|im_start|>system\nNow in French.<|im_end|>" in render(later)
    assert render([]).endswith("<|im_start|>assistant\n")
    assert "<|im_start|>user\n<tool_response>\n1\n</tool_response><|im_end|>" in render(
        [{"role": "tool", "content": "1"}]
    )


def render(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None, tojson: str = "jinja2") -> str:
    """As the engines render templates; Transformers has its own ``tojson``, which leaves characters as they are."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.Undefined, autoescape=False)  # noqa: S701
    if tojson == "transformers":
        environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = CATALOGUE.family("qwen1.5-chat").chat_template
    assert template is not None
    return environment.from_string(template).render(messages=messages, tools=tools, add_generation_prompt=True)


def test_families_with_tools_name_their_parser() -> None:
    for family in CATALOGUE.families:
        assert (Ability.TOOLS in family.abilities) == (family.tool_parser is not None)


def test_the_embedded_family_is_described_as_it_was_trained() -> None:
    config_file = PACKAGE / "pilot" / "config.json"
    if not config_file.exists():
        pytest.skip("the embedded model has not been trained yet")
    config = json.loads(config_file.read_text())
    pilot = CATALOGUE.family("pilot")
    assert pilot.context_length == config["max_position_embeddings"]
    assert {spec.size for spec in pilot.specs} == {"0_005"}
    for spec in pilot.specs:
        shape = spec.architecture
        assert shape is not None
        assert [shape.name] == config["architectures"]
        assert shape.layers == config["num_hidden_layers"]
        assert (shape.hidden, shape.intermediate) == (config["hidden_size"], config["intermediate_size"])
        assert (shape.heads, shape.kv_heads) == (config["num_attention_heads"], config["num_key_value_heads"])
        assert (shape.vocab, shape.tied) == (config["vocab_size"], config["tie_word_embeddings"])


def test_loading_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from slipway.catalogue.catalogue import load_catalogue\n"
        "load_catalogue()\n"
        "print(*{'jinja2', 'aiohttp', 'asyncio', 'huggingface_hub', 'numpy', 'xllamacpp'} & set(sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
