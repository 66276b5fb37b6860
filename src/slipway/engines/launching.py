"""What the four engines' launches share: the path of a model's files, its chat template, the devices it may see."""

from pathlib import Path

from slipway.engines.weights import weights_term
from slipway.errors import BadRequest
from slipway.types import Ability, Demand, DeviceKind, Format, Model, Placement

# Given to an engine process in its environment; the process around xllamacpp reads the same names.
SECRET_VARIABLE = "SLIPWAY_ENGINE_SECRET"  # noqa: S105 - the variable's name
TEMPLATE_VARIABLE = "SLIPWAY_CHAT_TEMPLATE"

TEMPLATE_FILE = "chat_template.jinja"
OFFLINE = {"HF_HUB_OFFLINE": "1"}  # all files are here before an engine starts; it must not fetch others


def model_path(model: Model) -> str:
    """Where the engine reads the model: a directory, or for one-file formats the file (GGML once it is GGUF).

    Raises BadRequest if the location has no path yet: whoever plans says where the files will be.
    """
    path = model.location.path
    if path is None:
        raise BadRequest(f"the files of {model.family.name} have no place yet: give its location a path")
    if model.format is Format.GGML:
        return str(_one_file(model, path).with_suffix(".gguf"))
    return str(_one_file(model, path) if model.format is Format.GGUF else path)


def sequences(demand: Demand) -> int:
    """Requests an engine with a paged cache takes at once: memory for a few of full length holds many short ones."""
    return 16 * demand.parallel


def template_files(model: Model) -> dict[str, str]:
    """The family's chat template as a file to be written, where it has one."""
    template = model.family.chat_template
    return {} if template is None else {TEMPLATE_FILE: template}


def tool_parser(model: Model) -> str | None:
    return model.family.tool_parser if Ability.TOOLS in model.family.abilities else None


def visible_gpus(placement: Placement) -> dict[str, str]:
    """CUDA_VISIBLE_DEVICES for the GPUs placed on; none for a CPU; nothing said where a plan's GPUs are not here."""
    if placement.kind is DeviceKind.CPU:
        return {"CUDA_VISIBLE_DEVICES": ""}
    if placement.kind is DeviceKind.CUDA and placement.indexes:
        return {"CUDA_VISIBLE_DEVICES": ",".join(str(index) for index in placement.indexes)}
    return {}


def _one_file(model: Model, path: Path) -> Path:
    """``path`` if it is the file, else the file in it; of split files (``.a``, ``.b``) the whole, which they become."""
    if path.suffix in {".gguf", ".bin", ".ggml"} or not model.location.files:
        return path
    first = model.location.files[0]
    return path / first.removesuffix(".a").removesuffix("-split-a")


def ready_timeout_s(model: Model, base_s: float) -> float:
    """How long a start may take: a base, and the time to read the weights from a slow disk at 100 MB/s."""
    if model.weights_bytes is None and model.spec.architecture is None:
        return base_s + 600
    return base_s + weights_term(model).bytes // 100_000_000
