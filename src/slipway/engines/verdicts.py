"""Verdicts: what each engine says of a model, for people and for the choice of an engine."""

from collections.abc import Sequence

from slipway.engines.base import Engine
from slipway.engines.kinds import IN_WORDS
from slipway.types import DeviceKind, Format, Model, Verdict


def verdict(engine: Engine, model: Model, machine_kinds: Sequence[DeviceKind]) -> Verdict:
    """One engine's verdict on a model, for a machine that has ``machine_kinds``, fastest first."""
    refusals = {kind: engine.match(model, kind) for kind in DeviceKind}
    kinds = tuple(kind for kind in engine.kinds if refusals[kind] is None)
    here = [kind for kind in machine_kinds if kind in kinds]
    if here:
        converted = ", once converted to GGUF, at its first launch" if model.format is Format.GGML else ""
        return Verdict(engine.name, kinds, True, f"runs on {IN_WORDS[here[0]]}{converted}")
    if kinds:
        return Verdict(engine.name, kinds, False, _not_here(engine, kinds, machine_kinds, refusals))
    return Verdict(engine.name, (), False, refusals[engine.kinds[0]] or "")


def _not_here(
    engine: Engine,
    kinds: Sequence[DeviceKind],
    machine_kinds: Sequence[DeviceKind],
    refusals: dict[DeviceKind, str | None],
) -> str:
    needs = " or ".join(IN_WORDS[kind] for kind in kinds)
    return f"needs {needs}, which this machine lacks; on {IN_WORDS[machine_kinds[0]]}: {refusals[machine_kinds[0]]}"
