"""The engines as pure data: vLLM, SGLang, Transformers and llama.cpp. Importing this package imports none of them."""

from collections.abc import Sequence

from slipway.engines.base import Engine, EngineOption
from slipway.engines.llama_cpp import LlamaCpp
from slipway.engines.options import read_options
from slipway.engines.sglang import Sglang
from slipway.engines.transformers import Transformers
from slipway.engines.verdicts import verdict
from slipway.engines.vllm import Vllm
from slipway.errors import UnknownName
from slipway.types import DeviceKind, Model, Verdict

__all__ = ["ENGINES", "Engine", "EngineOption", "find_engine", "read_options", "verdict", "verdicts"]

ENGINES: tuple[Engine, ...] = (Vllm(), Sglang(), Transformers(), LlamaCpp())


def find_engine(name: str) -> Engine:
    """The engine of that name, without regard to case or punctuation. Raises UnknownName with the nearest names."""
    for engine in ENGINES:
        if _plain(engine.name) == _plain(name):
            return engine
    raise UnknownName("engine", name, (engine.name for engine in ENGINES))


def verdicts(model: Model, machine_kinds: Sequence[DeviceKind]) -> tuple[Verdict, ...]:
    """Every engine's verdict on a model, in the order of ENGINES, for a machine with these kinds, fastest first."""
    return tuple(verdict(engine, model, machine_kinds) for engine in ENGINES)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
