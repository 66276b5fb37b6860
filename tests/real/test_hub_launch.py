"""A catalogue model launched from a hub: the stand-in serves the pilot under the real repository and file names."""

from pathlib import Path

import pytest

import slipway
from tests.hub_stand_in import hub_stand_in
from tests.real.server import running_server

pytestmark = pytest.mark.engine

PILOT = Path(slipway.__file__).parent / "pilot" / "pilot-q8_0.gguf"
FILE = "qwen1_5-0_5b-chat-q8_0.gguf"
LAUNCH = ("launch", "--model-engine", "llama.cpp", "--model-name", "qwen1.5-chat", "--size-in-billions", "0_5",
          "--model-format", "ggufv2", "--quantization", "q8_0")  # fmt: skip


@pytest.mark.parametrize(
    ("hub_name", "repository"),
    [("huggingface", "Qwen/Qwen1.5-0.5B-Chat-GGUF"), ("modelscope", "qwen/Qwen1.5-0.5B-Chat-GGUF")],
)
def test_a_line_of_the_model_pages_fetches_launches_and_answers(tmp_path: Path, hub_name: str, repository: str) -> None:
    with hub_stand_in() as hub:
        hub.files[repository] = {FILE: PILOT.read_bytes()}
        with running_server(tmp_path, HF_ENDPOINT=hub.address, MODELSCOPE_ENDPOINT=hub.address) as server:
            done = server.run(*LAUNCH, "--download-hub", hub_name, program="xinference")
            assert done.returncode == 0, done.stderr
            question = [{"role": "user", "content": "What is the capital of France?"}]
            assert "Paris" in server.chat("qwen1.5-chat", question)["content"]
            assert repository in server.run("cached").stdout
            assert server.run("terminate", "--model-uid", "qwen1.5-chat").returncode == 0
            asked = len(hub.requests)
            assert server.run(*LAUNCH, "--download-hub", hub_name).returncode == 0
            assert len(hub.requests) == asked, "a cached model asks the hub nothing"
            assert server.run("remove-cache", "--model-name", "qwen1.5-chat", "--yes").returncode == 0
            assert FILE not in {each.name for each in tmp_path.rglob("*")}


def test_a_hub_without_the_file_is_a_sentence_and_the_retry_works(tmp_path: Path) -> None:
    with hub_stand_in() as hub, running_server(tmp_path, HF_ENDPOINT=hub.address) as server:
        done = server.run(*LAUNCH, "--download-hub", "huggingface")
        assert done.returncode == 1
        assert "Qwen/Qwen1.5-0.5B-Chat-GGUF" in done.stderr
        assert "Traceback" not in done.stderr
        hub.files["Qwen/Qwen1.5-0.5B-Chat-GGUF"] = {FILE: PILOT.read_bytes()}
        assert server.run(*LAUNCH, "--download-hub", "huggingface").returncode == 0
