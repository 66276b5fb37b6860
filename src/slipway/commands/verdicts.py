"""An engine's verdict as a line for people and as JSON."""

from slipway.types import Verdict


def verdict_line(verdict: Verdict) -> str:
    """``yes  llama.cpp  runs on cpu``: can it, here; which engine; on what, or why not."""
    answer = ("yes" if verdict.here else "not here") if verdict.can else "no"
    return f"{answer:8}  {verdict.engine:12}  {verdict.reason}"


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """As in the plan's JSON."""
    return {
        "engine": verdict.engine,
        "can": verdict.can,
        "here": verdict.here,
        "devices": [str(kind) for kind in verdict.kinds],
        "reason": verdict.reason,
    }
