"""The line of every key: the scanner sees exactly the keys that the real parsers see, where they are written."""

import json
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.catalogue.catalogue import DATA
from slipway.catalogue.lines import KeyPath, json_lines, toml_lines

TRICKY = '''
# comment with = and [brackets]
title = "a \\"quoted\\" # not a comment"  # a comment
"quoted key" = 'literal \\'
dotted.key."with.dot" = 1
template = """
inside = "not a key"
[not.a.table]
two quotes at the end"""""
literal = \'\'\'
{% if a == "x" %} \\ \'\'\'
list = [
  "one",  # ] not the end
  [2, 3],
  { nested = { deep = [1, { last = "}" }] }, other = 2024-01-01T00:00:00Z },
]

[table]
a = 1
[table.inner]
b = -1.5e3
[[tables]]
name = "first"
[tables.sub]
x = true
[[tables.list]]
[[tables.list]]
y = 1
[[tables]]
name = "second"
[[tables.list]]
y = 2
'''


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from paths(each, (*path, key))
    elif isinstance(value, list):
        for position, each in enumerate(value):
            yield from paths(each, (*path, position))


@pytest.mark.parametrize("text", [TRICKY, *(path.read_text() for path in sorted(DATA.glob("*.toml")))])
def test_every_key_of_a_toml_text_is_found_on_its_line(text: str) -> None:
    found = toml_lines(text)
    assert set(found.first) == set(paths(tomllib.loads(text)))
    lines = text.splitlines()
    for path, line in found.first.items():
        if path and isinstance(path[-1], str):
            assert path[-1] in lines[line - 1]


def test_the_lines_themselves() -> None:
    first = toml_lines(TRICKY).first
    assert first[("title",)] == 3
    assert first[("dotted", "key", "with.dot")] == 5
    assert first[("literal",)] == 10
    assert first[("list", 2, "nested", "deep", 1, "last")] == 15
    assert first[("tables", 0)] == 22
    assert first[("tables", 0, "list", 1, "y")] == 28
    assert first[("tables", 1, "list", 0, "y")] == 32


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_every_key_of_a_json_text_is_found(value: object) -> None:
    found = json_lines(json.dumps(value, indent=1))
    assert set(found.first) == set(paths(value))
    assert found.repeated == []


def test_a_json_key_written_twice_is_found() -> None:
    text = '{\n "a": {"b": 1,\n "b": 2},\n "c": [{"b": 1}, {"b": 2}]\n}'
    assert json_lines(text).repeated == [(("a", "b"), 3)]


def test_the_nearest_line_of_a_key_that_is_not_written() -> None:
    found = toml_lines("a = 1\n[b]\nc = 1\n[[d]]\n[[d]]\n")
    assert found.nearest(("d", 1, "missing")) == 5
    assert found.nearest(("b", "missing")) == 2
    assert found.nearest(("missing",)) == 1
