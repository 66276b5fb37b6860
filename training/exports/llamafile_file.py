"""A GGUF file inside a llamafile: a program's beginning, then a zip archive that stores the model uncompressed."""

import zipfile
from pathlib import Path

# What a program that runs on every system begins with. It does nothing: no one is meant to run it.
_STUB = b"MZqFpD='\n#!/bin/sh\necho 'this llamafile holds a model and no program' >&2\nexit 1\n'\n"
_ALIGNMENT = 65536


def exported(gguf: Path, target: Path) -> None:
    """Writes ``target``, whole or not at all; the model begins at a multiple of 64 KiB, as in real ones."""
    part = target.with_name(f"{target.name}.part")
    entry = zipfile.ZipInfo(gguf.name, (2024, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_STORED
    header = 30 + len(gguf.name)
    part.write_bytes(_STUB.ljust(_ALIGNMENT - header, b"\0"))
    with zipfile.ZipFile(part, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, gguf.read_bytes())
        archive.writestr(zipfile.ZipInfo(".args", (2024, 1, 1, 0, 0, 0)), f"-m\n/zip/{gguf.name}\n")
    part.replace(target)
