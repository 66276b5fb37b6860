"""From a family to a model: matching, what is told when nothing matches, hubs, and the place on disk."""

from pathlib import Path

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.resolve import PACKAGE, candidates, choose_source, location
from slipway.errors import BadRequest, UnknownName
from slipway.types import Family, Hub, Location, Source, Spec

CATALOGUE = load_catalogue()
QWEN = CATALOGUE.family("qwen1.5-chat")
LLAMA = CATALOGUE.family("llama-2-chat")
PILOT = CATALOGUE.family("pilot")
MODELS = Path("/models")


def only(family: Family, size: str, kind: str, quantization: str) -> tuple[Spec, str]:
    (found,) = candidates(family, size, kind, quantization)
    return found


def place(family: Family, size: str, kind: str, quantization: str, hub: str | None = None) -> Location:
    spec, exact = only(family, size, kind, quantization)
    return location(choose_source(spec, exact, hub), exact, MODELS)


def test_a_family_is_found_without_regard_to_case() -> None:
    assert CATALOGUE.family("QWEN1.5-Chat") is QWEN
    assert CATALOGUE.get("qwen") is None


def test_an_unknown_family_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownName, match=r"no model named 'qwen1.5-chart'; nearest: qwen1.5-chat.*there are: .*pilot"):
        CATALOGUE.family("qwen1.5-chart")


def test_nothing_asked_gives_every_quantization_in_page_order() -> None:
    found = candidates(QWEN)
    assert [(spec.format, spec.size, quantization) for spec, quantization in found] == [
        (spec.format, spec.size, quantization) for spec in QWEN.specs for quantization in spec.quantizations
    ]


@pytest.mark.parametrize(
    ("size", "kind", "quantization", "expected"),
    [
        ("0_5", "gguf", "Q4_K_M", ("ggufv2", "0_5", "q4_k_m")),
        ("0.5", "GGUFv2", "q4_k_m", ("ggufv2", "0_5", "q4_k_m")),
        ("7B", "GPTQ", "int8", ("gptq", "7", "Int8")),
        ("7", "PyTorch", "NONE", ("pytorch", "7", "none")),
    ],
)
def test_case_and_aliases(size: str, kind: str, quantization: str, expected: tuple[str, str, str]) -> None:
    spec, exact = only(QWEN, size, kind, quantization)
    assert (spec.format, spec.size, exact) == expected


def test_ggml_is_an_alias_too() -> None:
    assert only(LLAMA, "7", "ggml", "Q2_K")[1] == "q2_K"


@pytest.mark.parametrize(
    ("size", "kind", "quantization", "message"),
    [
        (None, "ggfu", None, r"no format named 'ggfu'.*there are: pytorch, gptq, awq, ggufv2"),
        (None, "ggml", None, r"no format named 'ggml'.*qwen1.5-chat is not kept as ggmlv3"),
        ("8", None, None, r"no size named '8'; .*0_5, 1_8, 4, 7, 14, 32, 72, 110"),
        ("110", "gguf", None, r"no size named '110'.*qwen1.5-chat 110 is there as pytorch, gptq, awq"),
        ("7", "gptq", "Int3", r"no quantization named 'Int3'; nearest: Int\d, Int\d"),
        ("72", "gguf", "q8_0", r"there are: q2_k, q3_k_m, q4_k_m; q8_0 is there for ggufv2 0_5, .*ggufv2 32$"),
        ("32", "gptq", "Int8", r"Int8 is there for gptq 0_5, gptq 1_8, gptq 4, gptq 7, gptq 14, gptq 72$"),
        (None, None, "fp8", r"no quantization named 'fp8'"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    size: str | None, kind: str | None, quantization: str | None, message: str
) -> None:
    with pytest.raises(UnknownName, match=message) as caught:
        candidates(QWEN, size, kind, quantization)
    assert caught.value.http_status == 404
    assert caught.value.exit_code == 2


def test_hugging_face_is_first_and_another_hub_can_be_asked_for() -> None:
    spec, quantization = only(LLAMA, "7", "gguf", "Q4_K_M")
    assert choose_source(spec, quantization).hub is Hub.HUGGINGFACE
    assert choose_source(spec, quantization, "ModelScope").repository == "Xorbits/Llama-2-7b-Chat-GGUF"


def test_a_hub_without_the_quantization_names_the_one_that_has_it() -> None:
    spec, quantization = only(LLAMA, "7", "gguf", "Q8_0")
    with pytest.raises(BadRequest, match=r"modelscope does not have ggufv2 7 Q8_0: huggingface does"):
        choose_source(spec, quantization, "modelscope")


def test_an_unknown_hub_is_told() -> None:
    spec, quantization = only(LLAMA, "7", "gguf", "Q8_0")
    with pytest.raises(UnknownName, match="no hub named 'hugginface'; nearest: huggingface"):
        choose_source(spec, quantization, "hugginface")


def test_the_embedded_model_needs_no_hub() -> None:
    spec, quantization = only(PILOT, "0_005", "gguf", "q8_0")
    assert choose_source(spec, quantization).hub is Hub.LOCAL
    with pytest.raises(BadRequest, match="on this machine already, leave the hub out"):
        choose_source(spec, quantization, "huggingface")


def test_a_checkpoint_is_a_directory() -> None:
    assert place(QWEN, "7", "gptq", "Int8") == Location(
        hub=Hub.HUGGINGFACE,
        repository="Qwen/Qwen1.5-7B-Chat-GPTQ-Int8",
        path=MODELS / "huggingface" / "Qwen--Qwen1.5-7B-Chat-GPTQ-Int8" / "main",
    )


def test_a_one_file_format_is_a_file() -> None:
    assert place(LLAMA, "13", "ggml", "q4_K_S") == Location(
        hub=Hub.HUGGINGFACE,
        repository="TheBloke/Llama-2-13B-chat-GGML",
        files=("llama-2-13b-chat.ggmlv3.q4_K_S.bin",),
        path=MODELS / "huggingface" / "TheBloke--Llama-2-13B-chat-GGML" / "main" / "llama-2-13b-chat.ggmlv3.q4_K_S.bin",
    )


def test_a_split_file_is_fetched_in_parts_and_lies_under_its_whole_name() -> None:
    found = place(QWEN, "72", "gguf", "q4_k_m", "modelscope")
    assert found.files == ("qwen1_5-72b-chat-q4_k_m.gguf.a", "qwen1_5-72b-chat-q4_k_m.gguf.b")
    directory = MODELS / "modelscope" / "qwen--Qwen1.5-72B-Chat-GGUF" / "main"
    assert found.path == directory / "qwen1_5-72b-chat-q4_k_m.gguf"
    assert place(QWEN, "72", "gguf", "q2_k").files == ("qwen1_5-72b-chat-q2_k.gguf",)


def test_the_first_shard_stands_for_a_file_split_by_llama_cpp() -> None:
    shards = ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    source = Source(Hub.HUGGINGFACE, "a/b", ("q8_0",), "m.gguf", {"q8_0": shards}, "refs/pr/1")
    found = location(source, "q8_0", MODELS)
    assert found.files == shards
    assert found.path == MODELS / "huggingface" / "a--b" / "refs--pr--1" / shards[0]


def test_local_paths_start_from_the_package_unless_they_are_absolute() -> None:
    assert place(PILOT, "0_005", "gguf", "q8_0").path == PACKAGE / "pilot" / "pilot-q8_0.gguf"
    assert place(PILOT, "0_005", "pytorch", "none").path == PACKAGE / "pilot"
    absolute = location(Source(Hub.LOCAL, "/data/m-{quantization}.gguf", ("q8_0",)), "q8_0", MODELS)
    assert absolute == Location(Hub.LOCAL, "/data/m-q8_0.gguf", path=Path("/data/m-q8_0.gguf"))


def test_every_quantization_of_every_family_has_its_own_place() -> None:
    places = [
        location(source, quantization, MODELS)
        for family in CATALOGUE.families
        for spec, quantization in candidates(family)
        for source in spec.sources
        if quantization in source.quantizations and spec.format != "pytorch"
    ]
    assert len(places) > 150
    assert len({each.path for each in places}) == len(places)
    assert not any("{" in f"{each.repository}{each.files}{each.path}" for each in places)
