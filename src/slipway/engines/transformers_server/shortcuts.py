"""Makes a loaded model's step cheaper without changing a bit of what it computes.

A small model spends most of a step outside its arithmetic: in calls of modules, in laying weights out anew for every
product, in many small operations. Here modules are called without the machinery of hooks, which nobody uses in serving;
bfloat16 weights are laid out once for the CPU; projections of the same input are computed as one; and a norm is one
operation where that is found to give the same bits.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
_ROWS = 16  # for which oneDNN chooses the layout; measured alike at 1 and 16
_TIED_BYTES = 64 * 1024**2  # an output layer shared with the embedding is laid out as a copy; not a larger one
_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)  # they look their modules up themselves

Projection = Callable[[torch.Tensor], torch.Tensor]


def shorten(model: Any) -> None:
    """In place, once, after loading. The model can no longer be trained, saved or moved."""
    packs = _packs(model)
    tied = _tied(model)
    for module in [each for each in model.modules() if not isinstance(each, _CONTAINERS)]:
        if packs:
            _join(module)
            _pack(module, tied)
        for name, child in list(module._modules.items()):
            if child is not None and not isinstance(child, _CONTAINERS) and _unhooked(child):
                # Found first; the module itself stays registered.
                module.__dict__[name] = _norm(child) or Direct(child)
        if "config" in module.__dict__ and module is not model:
            module.__dict__["config"] = Settled(module.__dict__["config"])


class Direct:
    """A module that is called straight; everything else is asked of the module."""

    __slots__ = ("_module", "forward")

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self.forward = module.forward

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class Settled:
    """A layer's configuration, which is read many times a step and does not change any more."""

    def __init__(self, config: Any) -> None:
        self.__dict__["_config"] = config

    def __getattr__(self, name: str) -> Any:
        """Only for what has not been asked before."""
        found = self.__dict__[name] = getattr(self._config, name)
        return found


class Packed:
    """A linear layer whose bfloat16 weight lies as oneDNN wants it; results are the same to the bit."""

    __slots__ = ("_bias", "_product", "_weight", "in_features", "out_features")

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self.out_features, self.in_features = weight.shape
        self._weight = torch.ops.mkldnn._reorder_linear_weight.default(weight.detach(), _ROWS)
        self._bias = None if bias is None else bias.detach()
        self._product: Callable[..., torch.Tensor] = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        return self._product(states, self._weight, self._bias, "none", [], "")


class Joined:
    """Several linear layers of one input: computed when the first is asked for, and then handed out."""

    def __init__(self, layers: Iterable[nn.Linear]) -> None:
        layers = list(layers)
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self._widths = [layer.out_features for layer in layers]
        self._all = Packed(torch.cat([layer.weight for layer in layers]), torch.cat(biases) if biases else None)
        self._input: torch.Tensor | None = None
        self._parts: tuple[torch.Tensor, ...] = ()

    def part(self, place: int) -> Projection:
        last = place == len(self._widths) - 1

        def project(states: torch.Tensor) -> torch.Tensor:
            if states is not self._input:
                self._input, self._parts = states, self._all(states).split(self._widths, -1)
            found = self._parts[place]
            if last:
                self._input, self._parts = None, ()
            return found

        return project


def _norm(module: nn.Module) -> Projection | None:
    """A root mean square norm with fewer operations, if it agrees with the module's own on random numbers."""
    weight, epsilon = getattr(module, "weight", None), getattr(module, "variance_epsilon", None)
    if not type(module).__name__.endswith("RMSNorm") or weight is None or epsilon is None:
        return None
    size, dtype = weight.shape, weight.dtype

    def norm(states: torch.Tensor) -> torch.Tensor:
        return torch.rms_norm(states.float(), size, None, epsilon).to(dtype) * weight

    generator = torch.Generator().manual_seed(0)
    for scale in (0.01, 1.0, 30.0):
        states = (torch.randn(1, 64, *size, generator=generator) * scale).to(weight)
        if not torch.equal(norm(states), module(states)):
            return None
    return norm


def _packs(model: Any) -> bool:
    supported: Callable[[], bool] | None = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if model.device.type != "cpu" or model.dtype != torch.bfloat16 or not torch.backends.mkldnn.is_available():
        return False
    return supported is not None and bool(supported())


def _join(module: nn.Module) -> None:
    for names in _TOGETHER:
        layers = [module._modules.get(name) for name in names]
        plain = [layer for layer in layers if layer is not None and _plain(layer)]
        if len(plain) == len(names) and len({(layer.in_features, layer.bias is None) for layer in plain}) == 1:
            joined = Joined(plain)
            for place, name in enumerate(names):
                _replace(module, name, joined.part(place))


def _pack(module: nn.Module, tied: torch.Tensor | None) -> None:
    for name, child in list(module._modules.items()):
        weight: Any = getattr(child, "weight", None)
        large = tied is not None and weight is tied and tied.nbytes > _TIED_BYTES
        if child is not None and _plain(child) and not large:
            _replace(module, name, Packed(weight, getattr(child, "bias", None)))


def _plain(module: Any) -> bool:
    """Nothing derived from a linear layer: quantized ones, adapters."""
    return type(module) is nn.Linear and module.weight.dtype == torch.bfloat16 and _unhooked(module)


def _tied(model: Any) -> torch.Tensor | None:
    embedding = model.get_input_embeddings()
    return None if embedding is None else embedding.weight


def _unhooked(module: nn.Module) -> bool:
    return not (module._forward_hooks or module._forward_pre_hooks or hasattr(module, "_hf_hook"))


def _replace(module: nn.Module, name: str, call: Any) -> None:
    """Found as an attribute like before, but no longer among the modules: its weight is given up."""
    del module._modules[name]
    module.__dict__[name] = call
