"""Whatever a config, a template or a GGUF header says, detection understands it or refuses it, and nothing else."""

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.catalogue.detect import as_family, detect
from slipway.errors import BadModelFile
from tests import gguf_writer as writer

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(sorted(writer.CONFIG)), each, max_size=3),
    max_leaves=5,
)
config_keys = st.sampled_from([*writer.CONFIG, "quantization_config", "text_config", "vision_config", "auto_map"])


@settings(max_examples=80, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(config_keys, json_values, min_size=1, max_size=3), template=json_values)
def test_any_config_is_understood_or_refused(tmp_path: Path, changes: dict[str, object], template: object) -> None:
    directory = writer.write_checkpoint(tmp_path / "model")
    (directory / "config.json").write_text(json.dumps({**writer.CONFIG, **changes}))
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    try:
        found = detect(directory)
    except BadModelFile:
        return
    assert found.architecture.head_size >= 0
    assert as_family(found).specs[0].size


@settings(max_examples=200, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 1200), replacement=st.binary(min_size=1, max_size=9))
def test_any_gguf_is_understood_or_refused(tmp_path: Path, at: int, replacement: bytes) -> None:
    data = writer.gguf()
    path = tmp_path / "m.gguf"
    path.write_bytes(data[:at] + replacement + data[at + len(replacement) :])
    try:
        found = detect(path)
    except BadModelFile:
        return
    assert found.name
    assert as_family(found).specs[0].size
