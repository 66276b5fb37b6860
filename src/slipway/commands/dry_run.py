"""`slipway launch --dry-run`: the plan of a launch, for people or as JSON, with no server and nothing done."""

import json
import shlex

from slipway.commands.verdicts import verdict_line
from slipway.control.look import look
from slipway.control.planner import load_context, plan
from slipway.deployment import Plan
from slipway.parameters import LaunchRequest
from slipway.settings import load_settings
from slipway.types import Placement, in_gib


def print_plan(request: LaunchRequest, *, as_json: bool) -> int:
    settings = load_settings()
    planned = plan(look(request, settings, racing=False), load_context(settings))
    print(json.dumps(planned.as_json(), indent=2, ensure_ascii=False) if as_json else plan_text(planned))
    return 0


def plan_text(planned: Plan) -> str:
    """The plan as a block of text for people."""
    lines = [f"{planned.uid}: {_model(planned)}, on {planned.engine}"]
    lines += [f"  {reason}" for reason in planned.reasons]
    lines += [f"  warning: {warning}" for warning in planned.warnings]
    lines += _section("detected", _detected(planned))
    lines += _section("source", _source(planned))
    lines += _section("environment", _environment(planned))
    lines += _section("memory", [*_memory(planned), f"{'total':12}{in_gib(planned.memory.total_bytes):>10}"])
    lines += _section("devices", [devices(planned.placement)])
    lines += _section("engines", [verdict_line(verdict) for verdict in planned.verdicts])
    lines += _section("variables", [f"{name}={shlex.quote(value)}" for name, value in planned.launch.env.items()])
    lines += _section("command", [shlex.join(planned.launch.argv)])
    return "\n".join(lines)


def devices(placement: Placement) -> str:
    """``2 cuda GPUs (0, 1)``, ``cpu, 4 threads``, with a note where they are not here."""
    if placement.indexes or placement.kind != "cpu":
        which = f" ({', '.join(map(str, placement.indexes))})" if placement.indexes else ""
        text = f"{placement.count} {placement.kind} GPU{'s' if placement.count > 1 else ''}{which}"
    else:
        text = f"cpu, {placement.threads} thread{'s' if placement.threads > 1 else ''}"
    return text if placement.present else f"{text}: not on this machine"


def _model(planned: Plan) -> str:
    model, demand = planned.model, planned.demand
    size = model.spec.size.replace("_", ".")
    times = f"{demand.parallel} request{'s' if demand.parallel > 1 else ''} at once"
    what = f"{model.family.name} {model.format} {size}B {model.quantization}"
    return f"{what}, context {demand.context_length}, {times}"


def _detected(planned: Plan) -> list[str]:
    """What the model's own files say, for one that is in no catalogue."""
    told = planned.as_json()["detected"]
    if told is None:
        return []
    words = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in told.items()}
    quantizations = [f"{form}: {', '.join(names)}" for form, names in told["quantizations"].items()]
    words |= {"quantizations": "; ".join(quantizations), "chat_template": "yes" if told["chat_template"] else "none"}
    return [f"{name:16}{value}" for name, value in words.items() if value is not None]


def _source(planned: Plan) -> list[str]:
    location = planned.model.location
    revision = f" at {location.revision}" if location.revision else ""
    lines = [f"{location.hub}: {location.repository}{revision}", *location.files]
    if not location.files and location.hub != "local":
        lines.append("the files a checkpoint needs, chosen from the hub's listing")
    return lines


def _environment(planned: Plan) -> list[str]:
    environment = planned.environment
    if environment.embedded:
        first = f"Slipway's own, {environment.python}"
    elif environment.made:
        first = f"made for it, Python {environment.python}"
    else:
        first = f"yours, {environment.python}"
    return [first, *environment.requirements]


def _memory(planned: Plan) -> list[str]:
    return [f"{term.name:12}{in_gib(term.bytes):>10}  {term.detail}" for term in planned.memory.terms]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []
