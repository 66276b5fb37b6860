"""The bytes a model's weights take in memory, from its architecture and how its format stores them."""

from slipway.engines.mixes import Generation, mix_bytes, mix_names
from slipway.engines.shapes import matrices, parameters, typical, vector_parameters
from slipway.errors import Refused
from slipway.types import Architecture, Format, MemoryTerm, Model, in_gib

WHILE_LOADING = ("8-bit", "4-bit")  # of a full-precision checkpoint, by bitsandbytes
_GROUP = 128  # weights that share a scale and a zero point in the GPTQ and AWQ checkpoints catalogued
_NF4_BLOCK = 64  # weights that share one float32 maximum in bitsandbytes' nf4


def weights_term(model: Model) -> MemoryTerm:
    """The weights term. Measured from the files where they are here and are loaded as they are, else computed."""
    architecture = known_architecture(model)
    if model.weights_bytes is not None and not quantized_while_loading(model):
        return MemoryTerm("weights", model.weights_bytes, f"{in_gib(model.weights_bytes)} measured from the files")
    total = _computed(model, architecture)
    extra = architecture.extra_parameters
    count = parameters(architecture)
    also = f", {extra / 1e9:.2f}B of them outside the decoder" if extra else ""
    detail = f"{count / 1e9:.2f}B parameters{also} in {_in_words(model)}: {8 * total / count:.2f} bits each"
    return MemoryTerm("weights", total, detail)


def known_architecture(model: Model) -> Architecture:
    """The model's architecture; where its family names none, a typical one of its size, on the safe side."""
    return model.spec.architecture or typical(float(model.spec.size.replace("_", ".")))


def quantized_while_loading(model: Model) -> bool:
    """bitsandbytes quantizes a full-precision checkpoint as it is read: the files say nothing of memory."""
    return model.format is Format.PYTORCH and model.quantization in WHILE_LOADING


def generation_of(model: Model) -> Generation:
    """The rules a GGUF or GGML file was quantized by. TheBloke's uploads ended in January 2024, before they changed."""
    if model.format is Format.GGML:
        return Generation.GGML
    return Generation.OLD_GGUF if model.spec.model_id.startswith("TheBloke/") else Generation.GGUF


def _computed(model: Model, architecture: Architecture) -> int:
    if model.format in {Format.GGUF, Format.GGML}:
        return _mixed(model, architecture) + 2 * architecture.extra_parameters  # a projector file is float16
    return _checkpoint(model, architecture)


def _mixed(model: Model, architecture: Architecture) -> int:
    try:
        return mix_bytes(architecture, model.quantization, generation_of(model))
    except KeyError:
        raise Refused(
            f"the size of quantization {model.quantization} is not known before its file is here; "
            f"known: {', '.join(mix_names())}",
            param="quantization",
        ) from None


def _checkpoint(model: Model, architecture: Architecture) -> int:
    """Layer matrices at the quantization's bits; embeddings, head, norms, biases and a vision tower at 16 bits."""
    total = 2 * (vector_parameters(architecture) + architecture.extra_parameters)
    for matrix in matrices(architecture):
        if matrix.layer is None:
            total += 2 * matrix.parameters
        else:
            total += _matrix_bytes(model, matrix.rows, matrix.columns)
    return total


def _matrix_bytes(model: Model, rows: int, columns: int) -> int:
    count = rows * columns
    match model.format, model.quantization:
        case Format.GPTQ, "Int8":
            return count + count // _GROUP * (2 + 1) + 4 * columns
        case Format.GPTQ, _:
            return count // 2 + count // _GROUP * 5 // 2 + 4 * columns  # and the order of the inputs: int32 each
        case Format.AWQ, _:
            return count // 2 + count // _GROUP * 5 // 2
        case Format.PYTORCH, "4-bit":
            return count // 2 + count // _NF4_BLOCK * 4
        case Format.PYTORCH, "8-bit" | "Int8":
            return count + 4 * rows
        case _:
            return 2 * count


def _in_words(model: Model) -> str:
    match model.format, model.quantization:
        case ((Format.GGUF | Format.GGML), name):
            return f"the {name.upper()} mix"
        case ((Format.GPTQ | Format.AWQ), name):
            return f"{model.format.upper()} {name}, a scale and a zero for {_GROUP}, embeddings and head in float16"
        case Format.PYTORCH, "4-bit":
            return "bitsandbytes nf4, embeddings and head in bfloat16"
        case Format.PYTORCH, "8-bit" | "Int8":
            return "bitsandbytes 8-bit, embeddings and head in 16 bits"
        case _:
            return "bfloat16"
