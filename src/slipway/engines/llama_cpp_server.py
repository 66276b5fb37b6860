"""The llama.cpp engine process: llama.cpp's own HTTP server, from xllamacpp, on loopback behind the launch's secret.

Started by the runtime as ``python -m slipway.engines.llama_cpp_server``; the secret and a family's chat template come
in the environment. It ends when its standard input closes, so that it never outlives the process that started it.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

SECRET_VARIABLE = "SLIPWAY_ENGINE_SECRET"  # noqa: S105 - the variable's name
TEMPLATE_VARIABLE = "SLIPWAY_CHAT_TEMPLATE"

# Options whose attribute in xllamacpp.CommonParams is not their own name.
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "n_threads": ("cpuparams.n_threads",),
    "n_threads_batch": ("cpuparams_batch.n_threads",),
    "cache_reuse": ("n_cache_reuse",),
    "seed": ("sampling.seed",),
}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Load the model, serve until stopped. Exit code 1 when the model cannot be served."""
    import xllamacpp

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, in the middle of loading too
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the launcher's to handle
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    arguments, options = _arguments(argv)
    try:
        params = _params(xllamacpp, arguments, options)
        server = xllamacpp.Server(params)
    except Exception as error:
        print(f"slipway: llama.cpp could not serve {arguments.model}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    print(f"slipway: llama.cpp answers at {server.listening_address}", file=sys.stderr, flush=True)
    while True:
        signal.pause()


def _arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, dict[str, str]]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--context-length", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--lora", action="append", default=[], help="a GGUF adapter, applied to every request")
    parser.add_argument("--draft-model", help="a GGUF file whose model drafts tokens, or ngram")
    parser.add_argument("--draft-tokens", type=int, default=5)
    parser.add_argument("--mmproj", default="", help="a GGUF file that projects images")
    arguments, rest = parser.parse_known_args(argv)
    if len(rest) % 2 or not all(name.startswith("--") for name in rest[::2]):
        parser.error(f"expected pairs of --option value, got {rest}")
    return arguments, {name[2:].replace("-", "_"): value for name, value in zip(rest[::2], rest[1::2], strict=True)}


def _params(xllamacpp: Any, arguments: argparse.Namespace, options: dict[str, str]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {arguments.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = arguments.port
    params.api_keys = [os.environ[SECRET_VARIABLE]]
    params.n_ctx = arguments.context_length * arguments.parallel
    params.n_parallel = arguments.parallel
    params.n_threads_http = max(256, 2 * arguments.parallel + 16)  # each connection holds one; the rest would wait
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    params.use_jinja = True
    params.chat_template = os.environ.get(TEMPLATE_VARIABLE, "")
    params.ui = params.endpoint_slots = False
    params.endpoint_metrics = True
    params.fit_params = False  # the plan has decided what fits
    params.cache_ram_mib = 0  # a prompt cache of 8 GiB would not be in the plan's estimate
    _add_companions(xllamacpp, params, arguments)
    for name, text in options.items():
        for path in _ATTRIBUTES.get(name, (name,)):
            _assign(params, path, text)
    return params


def _add_companions(xllamacpp: Any, params: Any, arguments: argparse.Namespace) -> None:
    """LoRA adapters, a drafting model and a projector of images, where they are given."""
    adapters = []
    for path in arguments.lora:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = path, 1.0
        adapters.append(adapter)
    params.lora_adapters = adapters
    params.mmproj.path = arguments.mmproj
    if not arguments.draft_model:
        return
    kinds = xllamacpp.common_speculative_type
    if arguments.draft_model == "ngram":
        params.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        params.speculative.ngram_simple.size_m = arguments.draft_tokens
    else:
        params.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        params.speculative.draft.mparams.path = arguments.draft_model
        params.speculative.draft.n_max = arguments.draft_tokens


def _assign(params: Any, path: str, text: str) -> None:
    """Set one attribute of CommonParams from text, by the type of the value it holds."""
    *owners, name = path.split(".")
    target = params
    for owner in owners:
        target = getattr(target, owner)
    current = getattr(target, name)
    if isinstance(current, bool):
        setattr(target, name, text.lower() in {"1", "true", "on", "yes"})
    elif hasattr(type(current), "__members__"):
        setattr(target, name, _member(type(current), text))
    else:
        setattr(target, name, type(current)(text))


def _member(kind: Any, text: str) -> Any:
    """The member of an enumeration whose name ends in ``text``: q8_0 is GGML_TYPE_Q8_0."""
    for name, member in kind.__members__.items():
        if name.lower() == text.lower() or name.lower().endswith(f"_{text.lower()}"):
            return member
    raise ValueError(f"{text!r} is none of {', '.join(kind.__members__)}")


def _end_with_launcher() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
