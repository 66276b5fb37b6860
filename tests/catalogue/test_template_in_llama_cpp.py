"""qwen1.5-chat's template gives the same prompt in llama.cpp, which has a template engine of its own, as in jinja2."""

import json
import urllib.request
from typing import Any

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.resolve import PACKAGE
from tests.catalogue.test_builtin import WEATHER, render

MODEL = PACKAGE / "pilot" / "pilot-q8_0.gguf"
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in 上海?"}]
CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "上海"}'}}
ANSWERED = [
    *QUESTION,
    {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "2"}]},
    {"role": "tool", "content": "<sun> & wind", "tool_call_id": "1"},
    {"role": "tool", "content": "rain", "tool_call_id": "2"},
]


@pytest.mark.engine
@pytest.mark.parametrize(("messages", "tools"), [(QUESTION, None), (QUESTION[1:], [WEATHER]), (ANSWERED, [WEATHER])])
def test_the_prompt_is_the_same(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> None:
    if not MODEL.exists():
        pytest.skip("the embedded model has not been trained yet")
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.use_jinja, params.port = str(MODEL), 512, True, 0
    params.cpuparams.n_threads = 1
    params.chat_template = load_catalogue().family("qwen1.5-chat").chat_template
    server = xllamacpp.Server(params)
    body = json.dumps({"messages": messages, **({"tools": tools} if tools else {})}).encode()
    address = server.listening_address + "/apply-template"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["prompt"] == render(messages, tools, "transformers")
