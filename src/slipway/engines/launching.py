"""What the four engines' launches share: the path of a model's files, its chat template, the devices it may see."""

from pathlib import Path

from slipway.engines import isolated as isolated_script
from slipway.engines.weights import weights_term
from slipway.errors import BadRequest
from slipway.types import Ability, Demand, DeviceKind, Format, MemoryTerm, Model, Placement, in_gib

# Given to an engine process in its environment; the process around xllamacpp reads the same names.
SECRET_VARIABLE = "SLIPWAY_ENGINE_SECRET"  # noqa: S105 - the variable's name
TEMPLATE_VARIABLE = "SLIPWAY_CHAT_TEMPLATE"

NGRAM = "ngram"  # as a draft model: tokens are drafted from the text so far
TEMPLATE_FILE = "chat_template.jinja"
ISOLATED = Path(isolated_script.__file__)
OFFLINE = {"HF_HUB_OFFLINE": "1"}  # all files are here before an engine starts; it must not fetch others


def model_path(model: Model) -> str:
    """Where the engine reads the model: a directory, or for one-file formats the file (GGML once it is GGUF).

    What is made of a local file (a conversion, a llamafile's model, joined pieces) has a place of its own.

    Raises BadRequest if the location has no path yet: whoever plans says where the files will be.
    """
    path = model.location.path
    if path is None:
        raise BadRequest(f"the files of {model.family.name} have no place yet: give its location a path")
    if model.location.served is not None:
        return str(model.location.served)
    if model.format not in {Format.GGUF, Format.GGML}:
        return str(path)
    file = _one_file(model, path)
    made = model.format is Format.GGML or file.suffix.lower() == ".llamafile"
    return str(file.with_suffix(".gguf") if made else file)


def isolated(module: str) -> tuple[str, ...]:
    """The words that run a module of Slipway in an engine's environment, where Slipway is not installed."""
    return ("{python}", "-P", str(ISOLATED), module)


def sequences(demand: Demand) -> int:
    """Requests an engine with a paged cache takes at once: memory for a few of full length holds many short ones."""
    return 16 * demand.parallel


def adapter_names(uid: str, demand: Demand) -> tuple[str, ...]:
    """The model names of LoRA adapters: ``uid:name``; ``uid`` itself stays the model without them."""
    return tuple(f"{uid}:{name}" for name, _ in demand.features.lora)


def companions_terms(demand: Demand) -> tuple[MemoryTerm, ...]:
    """The weights of a draft model and of adapters, where there are any; their caches are small beside the model's."""
    size = demand.features.companions_bytes
    return (MemoryTerm("companions", size, f"{in_gib(size)} measured from the files"),) if size else ()


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
    if path.suffix in {".gguf", ".bin", ".ggml", ".llamafile"} or not model.location.files:
        return path
    first = model.location.files[0]
    return path / first.removesuffix(".a").removesuffix("-split-a")


def ready_timeout_s(model: Model, base_s: float) -> float:
    """How long a start may take: a base, and the time to read the weights from a slow disk at 100 MB/s."""
    if model.weights_bytes is None and model.spec.architecture is None:
        return base_s + 600
    return base_s + weights_term(model).bytes // 100_000_000
