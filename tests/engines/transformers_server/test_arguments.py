"""The server takes every flag that the Transformers engine's launches and options write."""

from pathlib import Path
from typing import Any

import pytest

from slipway.engines.options import flag_pairs, read_options
from slipway.engines.transformers import Transformers
from slipway.engines.transformers_server.arguments import Arguments, read_arguments
from slipway.types import Demand, DeviceKind, Model, Placement
from tests.engines.models import model

OPTIONS: dict[str, Any] = {
    "dtype": "float16", "attn_implementation": "eager", "max_batch_tokens": 512, "page_size": 32, "num_blocks": 100,
    "max_new_tokens": 64, "seed": 2**40, "compile": True, "double_quant": False, "quant_type": "fp4", "min_pixels": 1,
    "max_pixels": 2, "max_tiles": 6, "tool_call_parser": "hermes", "log_level": "debug",
}  # fmt: skip
MODELS = [
    model(template="{{ messages }}"),
    model("llama-2-chat", "13", quantization="4-bit"),
    model("internvl-chat", "26"),
]


def parsed(made: Model, options: dict[str, Any], kind: DeviceKind = DeviceKind.CPU) -> Arguments:
    engine = Transformers()
    launch = engine.launch(made, "my-model", Demand(4096, 4), Placement(kind, threads=2), options)
    flags = launch.argv[launch.argv.index("--model") :]
    return read_arguments([word.replace("{port}", "40123").replace("{files}", "/files") for word in flags])


@pytest.mark.parametrize("made", MODELS, ids=lambda made: made.family.name)
@pytest.mark.parametrize("kind", [DeviceKind.CPU, DeviceKind.CUDA, DeviceKind.METAL])
def test_every_launch_is_taken(made: Model, kind: DeviceKind) -> None:
    arguments = parsed(made, {}, kind)
    assert (arguments.model, arguments.alias, arguments.port) == (made.location.path, "my-model", 40123)
    assert (arguments.context_length, arguments.parallel, arguments.host) == (4096, 4, "127.0.0.1")
    assert arguments.quantize == (None if made.quantization == "none" else made.quantization)


def test_every_option_is_taken() -> None:
    engine = Transformers()
    assert OPTIONS.keys() == engine.options.keys(), "a new option is a new flag"
    arguments = parsed(MODELS[0], read_options(engine, OPTIONS))
    assert {name: getattr(arguments, name) for name in OPTIONS} == OPTIONS
    assert arguments.chat_template == Path("/files/chat_template.jinja")


@pytest.mark.parametrize(
    "flags",
    [("--host", "192.0.2.1"), ("--tool-call-parser", "none"), ("--seed", "x"), ("--page-size", "0"), ("--nonsense",)],
)
def test_what_it_does_not_know_ends_it_with_the_reason(
    flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    needed = {"model": "/m", "alias": "a", "port": 1, "context_length": 8, "parallel": 1}
    with pytest.raises(SystemExit) as ended:
        read_arguments([*flag_pairs(needed), *flags])
    assert ended.value.code == 2
    assert flags[0] in capsys.readouterr().err
