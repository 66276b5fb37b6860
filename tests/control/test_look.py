"""What the hubs are asked before a launch is planned: repositories that are in no catalogue, and who answers first."""

import dataclasses
import json
import socket
import threading
from pathlib import Path

import pytest

from slipway.control.look import look
from slipway.control.planner import PlanContext, load_context, plan
from slipway.deployment import Plan
from slipway.errors import BadModelFile, FetchFailed, SlipwayError, UnknownName
from slipway.hubs.download import fetch
from slipway.parameters import LaunchRequest
from slipway.settings import Settings
from slipway.types import Ability, Hub, Machine
from tests import gguf_writer as writer
from tests.hub_stand_in import HubStandIn

CHECKPOINT, QUANTIZED = "Tiny/Model-0.1B", "Tiny/Model-GGUF"
GIB = 1024**3
TOOLS = writer.TEMPLATE + "{% if tools %}<tool_call>{{ tools }}{% endif %}"


def settings(home: Path, *, offline: bool = False) -> Settings:
    return Settings(home, offline=offline)


def planned(request: LaunchRequest, home: Path, *, offline: bool = False, racing: bool = True) -> Plan:
    where = settings(home, offline=offline)
    context = load_context(where)
    return plan(
        look(request, where, racing=racing), PlanContext(context.catalogue, Machine(2, 24 * GIB, 20 * GIB), where)
    )


def fetched(made: Plan, home: Path) -> Path:
    return fetch(made.model.location, settings(home).models, lambda *_: None, False, threading.Event())


def ggufs(*names: str) -> dict[str, bytes]:
    values = writer.metadata(tokenizer__chat_template=(writer.STRING, TOOLS))
    return {name: writer.gguf(values) + bytes(32 * number) for number, name in enumerate(names)}


# ---------------------------------------------------------------- any model


@pytest.mark.parametrize("kind", [Hub.HUGGINGFACE, Hub.MODELSCOPE], ids=str)
def test_a_checkpoint_is_what_its_own_files_say(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[CHECKPOINT] = writer.checkpoint_files()
    made = planned(LaunchRequest(CHECKPOINT, download_hub=kind, model_engine="vllm"), tmp_path)
    assert (made.uid, made.model.family.name, made.model.format) == ("Model-0.1B", "Model-0.1B", "pytorch")
    detected = made.as_json()["detected"]
    assert detected["from"] == f"{kind}: {CHECKPOINT}"
    assert detected["architecture"] == "Qwen2ForCausalLM"
    assert (detected["context_length"], detected["abilities"], detected["chat_template"]) == (256, ["chat"], True)
    assert detected["quantizations"] == {"pytorch": ["none", "8-bit", "4-bit"]}
    assert made.model.weights_bytes == sum(size for _, _, size in writer.WEIGHTS.values())
    assert any("detected from its own files, looked at on the hub" in reason for reason in made.reasons)
    assert (made.model.location.hub, made.model.location.repository) == (kind, CHECKPOINT)


@pytest.mark.parametrize("kind", [Hub.HUGGINGFACE, Hub.MODELSCOPE], ids=str)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
def test_only_the_headers_of_the_weights_are_fetched(hub: HubStandIn, kind: Hub, ranges: bool, tmp_path: Path) -> None:
    big = writer.gguf(tensors={"token_embd.weight": (8, (64, 260)), "big": (0, (1 << 20, 4))})
    hub.files[QUANTIZED] = {"m-Q8_0.gguf": big, "m-Q4_0.gguf": big + bytes(32), "README.md": b"#"}
    hub.ranges = ranges
    planned(LaunchRequest(QUANTIZED, download_hub=kind), tmp_path)
    assert hub.served["m-Q4_0.gguf"] == hub.served["README.md"] == 0
    if ranges:
        assert 0 < hub.served["m-Q8_0.gguf"] <= 256 * 1024
    on_disk = sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*") if path.is_file())
    assert on_disk < 2 * 1024**2, "the weights are holes"


def test_gguf_quantizations_are_offered_and_chosen(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[QUANTIZED] = {
        **ggufs("M-Q8_0.gguf", "M-Q4_K_M.gguf", "M-UD-IQ2_XXS.gguf", "other/M-BF16-00001-of-00002.gguf"),
        "other/M-BF16-00002-of-00002.gguf": writer.gguf(),
        "mmproj-F16.gguf": b"GGUF",
        "imatrix.gguf": b"GGUF",
    }
    made = planned(LaunchRequest(QUANTIZED), tmp_path)
    offered = made.as_json()["detected"]["quantizations"]["ggufv2"]
    assert sorted(offered) == ["BF16", "Q4_K_M", "Q8_0", "UD-IQ2_XXS"]
    assert made.model.quantization == "BF16", "the most precise that fits"
    assert made.model.location.files == ("other/M-BF16-00001-of-00002.gguf", "other/M-BF16-00002-of-00002.gguf")
    chosen = planned(LaunchRequest(QUANTIZED, quantization="ud-iq2_xxs"), tmp_path)
    assert chosen.model.location.files == ("M-UD-IQ2_XXS.gguf",)
    assert chosen.model.weights_bytes == len(hub.files[QUANTIZED]["M-UD-IQ2_XXS.gguf"])
    assert chosen.model.family.tool_parser == "hermes"
    assert Ability.TOOLS in chosen.model.family.abilities
    assert fetched(chosen, tmp_path).read_bytes() == hub.files[QUANTIZED]["M-UD-IQ2_XXS.gguf"]
    with pytest.raises(UnknownName, match=r"no quantization named 'q9'.*Q8_0"):
        planned(LaunchRequest(QUANTIZED, quantization="q9"), tmp_path)


def test_a_repository_with_both_has_both(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[CHECKPOINT] = {**writer.checkpoint_files(), **ggufs("model-q8_0.gguf")}
    assert planned(LaunchRequest(CHECKPOINT, model_engine="transformers"), tmp_path).model.format == "pytorch"
    made = planned(LaunchRequest(CHECKPOINT, model_engine="llama.cpp"), tmp_path)
    assert (made.model.format, made.model.quantization) == ("ggufv2", "q8_0")


def test_a_gguf_without_a_word_for_its_quantization_says_it_itself(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[QUANTIZED] = {"weights.gguf": writer.gguf()}
    made = planned(LaunchRequest(QUANTIZED), tmp_path)
    assert (made.model.quantization, made.model.location.files) == ("q8_0", ("weights.gguf",))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b"PK"}, "only as pickles (pytorch_model.bin)"),
        ({"config.json": b"{}"}, "holds no model"),
        ({"model_index.json": b"{}", "config.json": b"{}"}, "a pipeline that makes images or sound"),
        ({"modules.json": b"[]", **writer.checkpoint_files()}, "is an embedding model"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x" * 20}, "is an adapter, not a whole model"),
        ({**writer.checkpoint_files(), "config.json": b"{}"}, "names no architecture"),
        (
            {
                **writer.checkpoint_files(),
                "config.json": json.dumps({**writer.CONFIG, "architectures": ["BertModel"]}).encode(),
            },
            "embeddings and classification are not yet",
        ),
        (
            {
                **writer.checkpoint_files(),
                "config.json": json.dumps(
                    {**writer.CONFIG, "architectures": ["OddForCausalLM"], "auto_map": {"AutoModel": "odd.Odd"}}
                ).encode(),
            },
            "code from a model is never executed",
        ),
        ({**writer.checkpoint_files(), "model.safetensors": writer.safetensors(writer.WEIGHTS)[:-8]}, "is truncated"),
        ({"a.gguf": writer.gguf()[:5000]}, "is truncated"),
        ({"a.gguf": b"<html>" + bytes(100)}, "looks like a web page"),
    ],
)
def test_what_cannot_be_launched_is_refused_before_anything_is_fetched(
    hub: HubStandIn, files: dict[str, bytes], told: str, tmp_path: Path
) -> None:
    hub.files[CHECKPOINT] = files
    with pytest.raises(BadModelFile) as caught:
        planned(LaunchRequest(CHECKPOINT), tmp_path)
    assert told in caught.value.message
    assert CHECKPOINT in caught.value.message
    assert str(tmp_path) not in caught.value.message
    hub.files[CHECKPOINT] = writer.checkpoint_files()
    assert planned(LaunchRequest(CHECKPOINT, model_engine="vllm"), tmp_path).model.format == "pytorch"


def test_a_repository_that_is_on_no_hub(hub: HubStandIn, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match=r"Hugging Face .*\n?.*ModelScope|ModelScope .*\n?.*Hugging Face"):
        planned(LaunchRequest("No/Such"), tmp_path)
    with pytest.raises(UnknownName, match="no hub named 'elsewhere'"):
        planned(LaunchRequest("No/Such", download_hub="elsewhere"), tmp_path)
    with pytest.raises(UnknownName, match="no model named 'a/b/c'"):
        planned(LaunchRequest("a/b/c"), tmp_path)


def test_what_is_here_is_planned_without_a_hub(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[QUANTIZED] = ggufs("M-Q8_0.gguf")
    request = LaunchRequest(QUANTIZED)
    with pytest.raises(FetchFailed, match="offline mode is on"):
        planned(request, tmp_path, offline=True)
    first = planned(request, tmp_path)
    offline = planned(request, tmp_path, offline=True, racing=False)
    assert offline.model == first.model, "what was looked at is enough for a plan"
    with pytest.raises(FetchFailed, match="offline mode is on"):
        planned(request, tmp_path, offline=True)
    fetched(first, tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a cached model must open no socket")

    monkeypatch.setattr(socket, "socket", refuse)
    for is_offline in (False, True):
        again = planned(request, tmp_path, offline=is_offline)
        assert again.model == dataclasses.replace(first.model, weights_bytes=again.model.weights_bytes)
        assert any("no hub was asked" in reason for reason in again.reasons)


# ---------------------------------------------------------------- who answers first

BOTH = LaunchRequest("qwen1.5-chat", size="0_5", format="ggufv2", quantization="q8_0")
FILE = "qwen1_5-0_5b-chat-q8_0.gguf"
ON = {Hub.HUGGINGFACE: "Qwen/Qwen1.5-0.5B-Chat-GGUF", Hub.MODELSCOPE: "qwen/Qwen1.5-0.5B-Chat-GGUF"}


@pytest.mark.parametrize("slow", [Hub.HUGGINGFACE, Hub.MODELSCOPE], ids=str)
def test_the_hub_that_answers_first_is_taken(hub: HubStandIn, slow: Hub, tmp_path: Path) -> None:
    for repository in ON.values():
        hub.files[repository] = {FILE: writer.gguf()}
    hub.slow[slow] = 10
    quick = next(each for each in ON if each is not slow)
    made = planned(BOTH, tmp_path)
    assert (made.model.location.hub, made.model.location.repository) == (quick, ON[quick])
    (why,) = [reason for reason in made.reasons if reason.startswith("hub ")]
    assert why.startswith(f"hub {quick}: the first to answer, after 0.")
    assert f"before {slow}" in why


def test_a_hub_that_does_not_have_it_is_passed_over(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[ON[Hub.HUGGINGFACE]] = {"other.gguf": writer.gguf()}
    hub.files[ON[Hub.MODELSCOPE]] = {FILE: writer.gguf()}
    hub.slow[Hub.MODELSCOPE] = 3
    made = planned(BOTH, tmp_path)
    assert made.model.location.hub is Hub.MODELSCOPE
    assert any("huggingface did not have it" in reason for reason in made.reasons)


def test_where_none_has_it_the_fetch_tells_why(hub: HubStandIn, tmp_path: Path) -> None:
    made = planned(BOTH, tmp_path)
    assert made.model.location.hub is Hub.HUGGINGFACE
    with pytest.raises(FetchFailed, match=ON[Hub.HUGGINGFACE]):
        fetched(made, tmp_path)


def test_nobody_is_asked_where_there_is_nothing_to_choose(hub: HubStandIn, tmp_path: Path) -> None:
    for repository in ON.values():
        hub.files[repository] = {FILE: writer.gguf()}
    planned(BOTH, tmp_path, racing=False)
    planned(dataclasses.replace(BOTH, download_hub="modelscope"), tmp_path)
    planned(LaunchRequest("llama-2-chat", size="7", format="gptq"), tmp_path)  # on one hub only
    planned(LaunchRequest("pilot"), tmp_path)
    assert hub.requests == []
    here = planned(dataclasses.replace(BOTH, download_hub="modelscope"), tmp_path)
    fetched(here, tmp_path)
    hub.requests.clear()
    again = planned(BOTH, tmp_path)
    assert (again.model.location.hub, hub.requests) == (Hub.MODELSCOPE, []), "what is here is taken, from where it was"


def test_offline_refuses_at_once_what_is_not_here(hub: HubStandIn, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"Qwen/Qwen1.5-0.5B-Chat-GGUF is not in the cache, and offline mode is on"):
        planned(BOTH, tmp_path, offline=True)
    assert planned(BOTH, tmp_path, offline=True, racing=False).model.location.hub is Hub.HUGGINGFACE
    assert planned(LaunchRequest("pilot"), tmp_path, offline=True).uid == "pilot"
    assert hub.requests == []
