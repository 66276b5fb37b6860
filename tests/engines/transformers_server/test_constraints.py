"""What an answer must look like: which fields say it, and the grammar they become."""

from typing import Any

import pytest

from slipway.engines.transformers_server.constraints import Constraint, Language, read_constraint
from slipway.errors import BadRequest
from tests.engines.transformers_server.fakes import say
from tests.engines.transformers_server.stage import serving

SCHEMA = {"type": "object", "properties": {"名": {"type": "string"}}}


def rule(constraint: Constraint | None) -> str:
    assert constraint is not None
    assert constraint.language is Language.LARK
    assert constraint.text == f"%llguidance {{}}\nstart: {constraint.rule}\n"
    return constraint.rule or ""


@pytest.mark.parametrize("body", [{}, {"response_format": None}, {"response_format": {"type": "text"}}])
def test_free_text(body: dict[str, Any]) -> None:
    assert read_constraint(body) is None


@pytest.mark.parametrize(
    ("body", "lenient"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}, True),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "strict": True, "schema": SCHEMA},
                }
            },
            False,
        ),
        ({"guided_json": SCHEMA}, True),
        ({"guided_json": '{"type": "object", "properties": {"名": {"type": "string"}}}'}, True),
        ({"structured_outputs": {"json": SCHEMA}}, True),
    ],
)
def test_json_schemas(body: dict[str, Any], lenient: bool) -> None:
    text = rule(read_constraint(body))
    assert text.startswith('%json {"type": "object", "properties": {"名": {"type": "string"}}, "x-guidance": ')
    assert ('"lenient": true' in text) is lenient
    assert "whitespace_pattern" in text, "blanks are bounded"


@pytest.mark.parametrize(
    "body", [{"response_format": {"type": "json_object"}}, {"structured_outputs": {"json_object": True}}]
)
def test_json_objects(body: dict[str, Any]) -> None:
    assert rule(read_constraint(body)).startswith('%json {"type": "object", "x-guidance"')


def test_other_languages() -> None:
    assert rule(read_constraint({"guided_choice": ['a"b', "中\n"]})) == '"a\\"b" | "中\\n"'
    assert read_constraint({"guided_regex": "a/b"}) == Constraint(Language.REGEX, "a/b", "guided_regex")
    found = read_constraint({"structured_outputs": {"grammar": 'root ::= "a"'}})
    assert found == Constraint(Language.GRAMMAR, 'root ::= "a"', "structured_outputs")


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": "json"},
        {"response_format": {}},
        {"response_format": {"type": "yaml"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": "{}"}}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": False}}},
        {"guided_json": "not JSON"},
        {"guided_json": 5},
        {"guided_choice": []},
        {"guided_choice": [1]},
        {"guided_regex": ""},
        {"guided_regex": ["a"]},
        {"structured_outputs": {}},
        {"structured_outputs": {"json": {}, "regex": "a"}},
        {"guided_regex": "a", "response_format": {"type": "json_object"}},
    ],
)
def test_what_makes_no_sense_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        read_constraint(body)
    assert caught.value.message


async def test_the_grammar_reaches_the_generator_and_a_bad_one_is_a_400() -> None:
    bad = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"no-such-keyword": 1}}}
    async with serving(lambda asked: say("{}")) as stage:
        await stage.chat(response_format={"type": "json_object"}, n=2)
        await stage.complete(guided_choice=["a", "b"])
        refused = await stage.chat(400, response_format=bad)
        again = await stage.chat(400, guided_regex="bad")
    assert [asked.sampling.grammar is not None for asked in stage.generator.asked] == [True, True, True]
    assert refused["error"]["message"] == "response_format cannot be followed: Unimplemented keys"
    assert refused["error"]["param"] == "response_format"
    assert again["error"]["message"] == "the grammar is bad", "what the generator refuses is the client's error too"
