"""Every combination of the seed pages can be planned on a machine with no GPU, no server and no network."""

import json
import socket

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.control.planner import PlanContext, plan
from slipway.parameters import LaunchRequest
from slipway.settings import load_settings
from slipway.types import Machine
from tests.catalogue.seed_pages import combinations, corrected

GIB = 1024**3
FAMILIES = ("qwen1.5-chat", "llama-2-chat", "qwen2-vl-instruct", "internvl-chat")
CONTEXT = PlanContext(load_catalogue(), Machine(2, 24 * GIB, 20 * GIB), load_settings({"SLIPWAY_HOME": "/nowhere"}))
COMBINATIONS = [
    (family, spec, quantization, engine)
    for family in FAMILIES
    for spec, quantization, engine in combinations(corrected(family))
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a plan must not open a socket")

    monkeypatch.setattr(socket, "socket", refuse)


def test_there_are_310() -> None:
    assert len(COMBINATIONS) == 310


def test_every_combination_of_the_seed_pages_has_a_whole_plan() -> None:
    for family, spec, quantization, engine in COMBINATIONS:
        request = LaunchRequest(
            family, model_engine=engine, size=spec.size, format=spec.format, quantization=quantization
        )
        printed = json.loads(json.dumps(plan(request, CONTEXT).as_json()))
        what = (family, spec.format, spec.size, quantization, engine)
        assert printed["engine"] == engine, what
        model = printed["model"]
        assert (model["family"], model["format"], model["size"], model["quantization"]) == what[:4]
        assert printed["source"]["repository"] == spec.hubs["Hugging Face"].replace("{quantization}", quantization), (
            what
        )
        assert bool(printed["source"]["files"]) == (spec.format in {"ggufv2", "ggmlv3"}), what
        assert printed["environment"]["requirements"], what
        assert printed["argv"][1:], what
        terms = {term["name"]: term["bytes"] for term in printed["memory"]["terms"]}
        assert set(terms) == {"weights", "kv_cache", "activations", "overhead"}, what
        assert min(terms.values()) > 0, what
        assert sum(terms.values()) == printed["memory"]["total_bytes"], what
        verdicts = {verdict["engine"]: verdict for verdict in printed["verdicts"]}
        assert verdicts[engine]["can"], what
        assert all(verdict["reason"] for verdict in verdicts.values()), what
        assert printed["devices"]["present"] == verdicts[engine]["here"], what


@pytest.mark.parametrize("name", ["vllm", "vLLM", "llama.cpp", "llama_cpp", "LLAMA-CPP"])
def test_engine_names_are_matched_without_case_or_punctuation(name: str) -> None:
    request = LaunchRequest("qwen1.5-chat", model_engine=name, size="7", format="ggufv2", quantization="Q4_K_M")
    assert plan(request, CONTEXT).model.quantization == "q4_k_m"


def test_a_hub_is_taken_when_it_is_named() -> None:
    request = LaunchRequest("qwen1.5-chat", size="7", format="awq", download_hub="ModelScope")
    location = plan(request, CONTEXT).model.location
    assert (str(location.hub), location.repository) == ("modelscope", "qwen/Qwen1.5-7B-Chat-AWQ")


def test_split_files_are_named_in_order() -> None:
    request = LaunchRequest("qwen1.5-chat", size="72", format="ggufv2", quantization="q4_k_m")
    assert plan(request, CONTEXT).model.location.files == (
        "qwen1_5-72b-chat-q4_k_m.gguf.a",
        "qwen1_5-72b-chat-q4_k_m.gguf.b",
    )
