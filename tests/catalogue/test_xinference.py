"""Xinference's custom LLM files, versions 1 and 2, as its own documentation and clients write them."""

import json
from typing import Any

import pytest

from slipway.catalogue.catalogue import family_in, load_catalogue
from slipway.catalogue.document import parse_document
from slipway.errors import InvalidFamily
from slipway.types import Ability, Family, Format, Hub, Source

KNOWN = {family.name: family for family in load_catalogue().families}

V1: dict[str, Any] = {
    "version": 1,
    "context_length": 2048,
    "model_name": "custom-llama-2-chat",
    "model_lang": ["en"],
    "model_ability": ["chat"],
    "model_family": "my-llama-2-chat",
    "model_specs": [
        {
            "model_format": "pytorch",
            "model_size_in_billions": 7,
            "quantizations": ["4-bit", "8-bit", "none"],
            "model_id": "meta-llama/Llama-2-7b-chat-hf",
            "model_revision": None,
        },
        {
            "model_format": "ggufv2",
            "model_size_in_billions": "1_8",
            "quantizations": ["q4_0", "q8_0"],
            "model_id": "me/llama-GGUF",
            "model_hub": "modelscope",
            "model_file_name_template": "llama.{quantization}.gguf",
            "model_file_name_split_template": "llama.{quantization}.gguf.{part}",
            "quantization_parts": {"q8_0": ["a", "b"]},
        },
        {
            "model_format": "ggufv2",
            "model_size_in_billions": 7,
            "quantizations": ["q4_0", "q8_0"],
            "model_file_name_template": "llama-7b.{quantization}.gguf",
            "model_uri": "file:///path/to/my%20models",
        },
    ],
    "chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}",
    "stop_token_ids": [2],
    "stop": ["</s>"],
}

V2: dict[str, Any] = {
    "version": 2,
    "model_name": "custom-qwen",
    "model_lang": ["en", "zh"],
    "model_ability": ["chat", "tools", "reasoning"],
    "model_description": "A custom model.",
    "model_family": "qwen1.5-chat",
    "model_specs": [
        {
            "model_format": "pytorch",
            "model_size_in_billions": "0_5",
            "quantization": "none",
            "model_id": None,
            "model_hub": "huggingface",
            "model_uri": "file:///path/to/qwen",
            "model_revision": None,
            "activated_size_in_billions": None,
        },
        {
            "model_format": "ggufv2",
            "model_size_in_billions": 7,
            "model_src": {
                "huggingface": {
                    "model_id": "Qwen/GGUF",
                    "quantizations": ["q4_k_m", "q8_0"],
                    "model_file_name_template": "qwen-{quantization}.gguf",
                },
                "modelscope": {
                    "model_id": "qwen/GGUF",
                    "quantizations": ["q4_k_m"],
                    "model_file_name_template": "qwen-{quantization}.gguf",
                    "model_revision": "master",
                },
            },
        },
    ],
    "chat_template": None,
    "tool_parser": "qwen",
    "cache_config": None,
    "virtualenv": {"packages": [], "inherit_pip_config": True},
    "is_builtin": False,
}


def read(values: dict[str, Any]) -> Family:
    return family_in(parse_document(json.dumps(values, indent=1), "custom.json", is_toml=False), KNOWN)


def test_version_1() -> None:
    family = read(V1)
    assert (family.name, family.context_length, family.languages) == ("custom-llama-2-chat", 2048, ("en",))
    assert (family.abilities, family.builtin, family.tool_parser) == ((Ability.CHAT,), False, None)
    assert family.chat_template == V1["chat_template"]
    checkpoint, split, local = family.specs
    assert (checkpoint.format, checkpoint.size) == (Format.PYTORCH, "7")
    assert checkpoint.sources == (Source(Hub.HUGGINGFACE, "meta-llama/Llama-2-7b-chat-hf", ("4-bit", "8-bit", "none")),)
    parts = {"q8_0": ("llama.q8_0.gguf.a", "llama.q8_0.gguf.b")}
    template = "llama.{quantization}.gguf"
    assert split.sources == (Source(Hub.MODELSCOPE, "me/llama-GGUF", ("q4_0", "q8_0"), template, parts),)
    path = "/path/to/my models/llama-7b.{quantization}.gguf"
    assert local.sources == (Source(Hub.LOCAL, path, ("q4_0", "q8_0")),)
    assert local.model_id == path


def test_version_2() -> None:
    family = read(V2)
    assert family.context_length == 2048
    assert family.abilities == (Ability.CHAT, Ability.TOOLS)
    assert family.description == "A custom model."
    assert family.tool_parser == "hermes"
    local, hubs = family.specs
    assert local.sources == (Source(Hub.LOCAL, "/path/to/qwen", ("none",)),)
    assert hubs.quantizations == ("q4_k_m", "q8_0")
    template = "qwen-{quantization}.gguf"
    assert hubs.sources == (
        Source(Hub.HUGGINGFACE, "Qwen/GGUF", ("q4_k_m", "q8_0"), template),
        Source(Hub.MODELSCOPE, "qwen/GGUF", ("q4_k_m",), template, {}, "master"),
    )


def test_a_known_model_family_lends_its_template_and_shapes() -> None:
    family, parent = read(V2), KNOWN["qwen1.5-chat"]
    assert family.chat_template == parent.chat_template is not None
    assert [spec.architecture for spec in family.specs] == [
        next(spec.architecture for spec in parent.specs if spec.size == size) for size in ("0_5", "7")
    ]


def test_a_template_may_be_the_name_of_a_family() -> None:
    assert read({**V1, "chat_template": "qwen1.5-chat"}).chat_template == KNOWN["qwen1.5-chat"].chat_template


def test_a_file_of_the_model_itself_is_kept_whole() -> None:
    spec = {**V2["model_specs"][0], "model_format": "ggufv2", "quantization": "q8_0", "model_uri": "/data/q.gguf"}
    family = read({**V2, "model_specs": [{**spec, "model_file_name_template": "other.gguf"}]})
    assert family.specs[0].sources == (Source(Hub.LOCAL, "/data/q.gguf", ("q8_0",)),)


def spec_with(**changes: Any) -> dict[str, Any]:
    return {**V1, "model_specs": [{**V1["model_specs"][0], **changes}]}


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({**V1, "version": 3}, "version", "expected 1 or 2"),
        ({**V1, "model_nam": "x"}, "model_nam", "did you mean model_name"),
        ({**V1, "model_ability": ["embed"]}, "model_ability", "none that is served here"),
        ({**V1, "model_ability": ["chatt"]}, "model_ability", "nearest: chat"),
        ({**V1, "model_specs": []}, "model_specs", "is empty"),
        ({**V1, "chat_template": "vicuna"}, "chat_template", "neither a template nor a family"),
        (spec_with(model_format="mlx"), "model_specs[1].model_format", "no format named 'mlx'"),
        (spec_with(model_size_in_billions="seven"), "model_specs[1].model_size_in_billions", "expected billions"),
        (spec_with(quantizations=[]), "model_specs[1].quantizations", "is empty"),
        (spec_with(model_id=None), "model_specs[1].model_id", "is missing"),
        (spec_with(model_id="llama"), "model_specs[1].model_id", "expected owner/name"),
        (spec_with(model_hub="csghub"), "model_specs[1].model_hub", "no hub named 'csghub'"),
        (spec_with(model_uri="s3://bucket/x"), "model_specs[1].model_uri", "only paths on this machine"),
        (spec_with(model_uri="file://host/x"), "model_specs[1].model_uri", "only paths on this machine"),
        (spec_with(model_uri="here"), "model_specs[1].model_uri", "expected an absolute path"),
        (spec_with(model_format="ggufv2"), "model_specs[1].model_file_name_template", "is missing"),
        (spec_with(model_src={}), "model_specs[1].model_src", "is empty"),
        (spec_with(model_src={"hugginface": {}}), "model_specs[1].model_src.hugginface", "nearest: huggingface"),
        (
            spec_with(model_src={"modelscope": {"model_id": 3}}),
            "model_specs[1].model_src.modelscope.model_id",
            "expected a non-empty text",
        ),
    ],
)
def test_a_fault_names_the_key_as_the_file_writes_it(values: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(InvalidFamily) as caught:
        read(values)
    assert caught.value.param == key
    assert words in str(caught.value)
    lines = json.dumps(values, indent=1).splitlines()
    line = int(str(caught.value).split("line ")[1].split(",")[0])
    written = key.rsplit(".", 1)[-1]
    assert written in lines[line - 1] or words == "is missing"
