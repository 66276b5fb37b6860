"""Kinds of device in words, for reasons."""

from slipway.types import DeviceKind

IN_WORDS = {
    DeviceKind.CPU: "the CPU",
    DeviceKind.CUDA: "NVIDIA GPUs (CUDA)",
    DeviceKind.ROCM: "AMD GPUs (ROCm)",
    DeviceKind.METAL: "Apple GPUs (Metal)",
}
