"""SGLang's real server on a CPU: a test rig, never part of the product. `python -m tests.real.sglang_rig DIR` makes it.

SGLang's release on PyPI is for NVIDIA GPUs. In an environment with torch's CPU build, without SGLang's kernel packages,
and with the stand-ins `sgl_kernel` and `torchvision` of this folder, its server takes the native torch paths.
"""
