"""Plans and families made by hand, for tests of what comes after planning."""

import sys
from pathlib import Path

import slipway
from slipway.deployment import Plan
from slipway.types import (
    Ability,
    Architecture,
    Demand,
    DeviceKind,
    Environment,
    Family,
    Format,
    Hub,
    Launch,
    Location,
    Memory,
    MemoryTerm,
    Model,
    Placement,
    Source,
    Spec,
)

PILOT = Path(slipway.__file__).parent / "pilot" / "pilot-q8_0.gguf"  # any whole GGUF file
TINY = Architecture("Qwen2ForCausalLM", 5, 256, 4, 2, 768, 2048, tied=True, qkv_bias=True)


def tiny_model(path: Path | None = None, name: str = "tiny") -> Model:
    spec = Spec(Format.GGUF, "0_005", ("q8_0",), name, (Source(Hub.LOCAL, name, ("q8_0",)),), TINY)
    family = Family(name, 2048, ("en",), (Ability.CHAT,), "A model for tests.", (spec,))
    return Model(family, spec, "q8_0", Location(Hub.HUGGINGFACE, name, path=path))


def make_plan(uid: str = "tiny", argv: tuple[str, ...] = (sys.executable, "-c", "pass"), timeout_s: float = 20) -> Plan:
    return Plan(
        uid=uid,
        engine="llama.cpp",
        model=tiny_model(PILOT),
        demand=Demand(2048, 1),
        environment=Environment(sys.executable, (), embedded=True),
        launch=Launch(argv, {}, "SLIPWAY_ENGINE_SECRET", "/health", timeout_s),
        memory=Memory((MemoryTerm("weights", 5_000_000, "by hand"),)),
        placement=Placement(DeviceKind.CPU),
        verdicts=(),
    )
