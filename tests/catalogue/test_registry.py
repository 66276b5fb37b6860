"""The user's families: register, list, unregister, and what a broken file does to the others: nothing."""

from pathlib import Path

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.registry import Registration, register, registrations, unregister
from slipway.errors import Conflict, Forbidden, InvalidFamily, SlipwayError, UnknownName

BUILTIN = load_catalogue().names


def write(path: Path, name: str = "mine", context: int = 4096) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'name = "{name}"\ncontext_length = {context}\nlanguages = ["en"]\nabilities = ["chat"]\n'
        '[[specs]]\nformat = "pytorch"\nsize = "1"\nquantizations = ["none"]\nhuggingface = "me/mine"\n'
    )
    return path


@pytest.fixture
def families(tmp_path: Path) -> Path:
    return tmp_path / "home" / "families"


def test_there_are_the_built_in_families_without_a_directory(families: Path) -> None:
    assert load_catalogue(families).names == load_catalogue(None).names == BUILTIN
    assert registrations(families) == tuple(Registration(name, True) for name in BUILTIN)


def test_a_registered_family_is_in_the_catalogue(tmp_path: Path, families: Path) -> None:
    family = register(write(tmp_path / "anything.toml"), families)
    assert not family.builtin
    assert load_catalogue(families).family("MINE") == family
    assert registrations(families)[-1] == Registration("mine", False, families / "mine.toml")
    assert [path.name for path in families.iterdir()] == ["mine.toml"]


def test_xinference_files_are_registered_as_they_are(tmp_path: Path, families: Path) -> None:
    text = """{"version": 2, "model_name": "x", "model_lang": ["en"], "model_ability": ["chat"], "model_specs": [
      {"model_format": "pytorch", "model_size_in_billions": 1, "quantization": "none", "model_id": "a/b"}]}"""
    (tmp_path / "x.json").write_text(text)
    register(tmp_path / "x.json", families)
    assert (families / "x.json").read_text() == text
    assert load_catalogue(families).family("x").specs[0].model_id == "a/b"


def test_a_broken_file_is_not_registered(tmp_path: Path, families: Path) -> None:
    (tmp_path / "mine.toml").write_text("name = 3\n")
    with pytest.raises(InvalidFamily, match=r"mine.toml, line 1, key name: is 3"):
        register(tmp_path / "mine.toml", families)
    assert not families.exists()


@pytest.mark.parametrize("name", ["pilot", "Qwen1.5-Chat"])
@pytest.mark.parametrize("replace", [False, True])
def test_the_name_of_a_built_in_family_is_taken(tmp_path: Path, families: Path, name: str, replace: bool) -> None:
    with pytest.raises(Conflict, match="comes with Slipway"):
        register(write(tmp_path / "a.toml", name), families, replace=replace)


def test_a_name_that_is_registered_is_taken_until_it_is_replaced(tmp_path: Path, families: Path) -> None:
    register(write(tmp_path / "a.toml"), families)
    with pytest.raises(Conflict, match="registered already"):
        register(write(tmp_path / "b.toml", "Mine", 2048), families)
    register(write(tmp_path / "b.toml", "Mine", 2048), families, replace=True)
    assert [path.name for path in families.iterdir()] == ["Mine.toml"]
    assert load_catalogue(families).family("mine").context_length == 2048


def test_a_file_that_appeared_meanwhile_is_not_overwritten(
    tmp_path: Path, families: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(families / "mine.toml", context=1)
    monkeypatch.setattr("slipway.catalogue.registry.load_catalogue", lambda _directory: load_catalogue())
    with pytest.raises(Conflict, match=r"mine.toml is in .* already"):
        register(write(tmp_path / "a.toml", context=2), families)
    assert "context_length = 1" in (families / "mine.toml").read_text()
    assert [path.name for path in families.iterdir()] == ["mine.toml"]


def test_a_broken_file_leaves_the_others_alone_and_is_told_when_named_or_listed(families: Path) -> None:
    write(families / "mine.toml")
    (families / "broken.toml").write_text('name = "broken"\ncontext_length = "long"\n')
    (families / ".hidden.toml").write_text("not read")
    (families / "notes.txt").write_text("not read")
    catalogue = load_catalogue(families)
    assert catalogue.names == (*BUILTIN, "mine")
    with pytest.raises(InvalidFamily, match=r"broken.toml, line 2, key context_length"):
        catalogue.family("Broken")
    last = registrations(families)[-1]
    assert (last.name, last.builtin, last.path) == ("broken", False, families / "broken.toml")
    assert last.problem is not None
    assert "line 2" in last.problem


def test_two_files_of_one_name_are_told_apart(families: Path) -> None:
    write(families / "mine.json").write_text("{}")
    write(families / "mine.toml")
    write(families / "other.toml", "MINE")
    write(families / "pilot.toml", "pilot")
    catalogue = load_catalogue(families)
    assert catalogue.names == (*BUILTIN, "mine")
    assert set(catalogue.broken) == {"mine.json", "other", "pilot"}
    assert "another family named 'MINE' is registered, in mine.toml" in str(catalogue.broken["other"])
    assert "another family named 'pilot' comes with Slipway" in str(catalogue.broken["pilot"])
    assert catalogue.family("pilot").builtin


def test_unregister(tmp_path: Path, families: Path) -> None:
    register(write(tmp_path / "a.toml"), families)
    unregister("Mine", families)
    assert load_catalogue(families).names == BUILTIN
    with pytest.raises(UnknownName, match="no registered family named 'mine'"):
        unregister("mine", families)


def test_a_broken_file_can_be_unregistered(families: Path) -> None:
    write(families / "broken.toml").write_text("?")
    unregister("broken", families)
    assert list(families.iterdir()) == []


def test_a_built_in_family_cannot_be_unregistered(families: Path) -> None:
    with pytest.raises(Forbidden, match="pilot comes with Slipway and cannot be unregistered"):
        unregister("pilot", families)


def test_the_nearest_registered_name_is_told(tmp_path: Path, families: Path) -> None:
    register(write(tmp_path / "a.toml", "my-model"), families)
    with pytest.raises(UnknownName, match="nearest: my-model"):
        unregister("my-modle", families)


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the directory should be")
    with pytest.raises(SlipwayError, match=r"mine.toml cannot be changed: (File exists|Not a directory)"):
        register(write(tmp_path / "a.toml"), tmp_path / "home" / "families")
