"""Answers as one JSON object of a shape the prompt gives, in words, as an example or as a JSON schema."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from training.pilot import words
from training.pilot.arithmetic import sum_or_difference
from training.pilot.dialogue import Item, compact, drawn
from training.pilot.facts import capital, colour, opposite


@dataclass(frozen=True, slots=True)
class Field:
    """One thing said about a person or product: its keys, JSON type, value, and clause per language."""

    keys: tuple[str, ...]
    type: str
    value: Callable[[Random, str], Any]
    english: tuple[str, ...]
    chinese: tuple[str, ...]


def likes(rng: Random, language: str) -> list[str]:
    """Two or three foods."""
    return rng.sample(words.FOODS[language], rng.choice((2, 2, 3)))


SUBJECTS = {
    "person": Field(("name", "name", "first_name", "person", "姓名"), "string", words.person, ("{s}",), ("{s}",)),
    "product": Field(("product", "item", "name", "title", "产品"), "string", words.word, ("The {s}",), ("{s}",)),
}
FIELDS = {
    "person": (
        Field(
            ("age", "age", "years", "年龄"),
            "integer",
            lambda rng, _: rng.randint(3, 99),
            ("is {v} years old", "is {v}"),
            ("今年{v}岁", "{v}岁"),
        ),
        Field(
            ("city", "city", "town", "home", "城市"),
            "string",
            words.city,
            ("lives in {v}", "is from {v}", "comes from {v}"),
            ("住在{v}", "来自{v}"),
        ),
        Field(
            ("job", "job", "profession", "work", "职业"),
            "string",
            lambda rng, lang: rng.choice(words.JOBS[lang]),
            ("works as a {v}", "is a {v}"),
            ("是{v}", "职业是{v}"),
        ),
        Field(
            ("color", "colour", "favorite_color", "颜色"),
            "string",
            lambda rng, lang: rng.choice(words.COLOURS[lang]),
            ("likes the colour {v}", "prefers {v}"),
            ("喜欢{v}", "最喜欢的颜色是{v}"),
        ),
        Field(
            ("student", "is_student", "学生"),
            "boolean",
            lambda rng, _: rng.random() < 0.5,
            ("is a student", "is not a student"),
            ("是学生", "不是学生"),
        ),
        Field(("likes", "foods", "喜欢"), "array", likes, ("likes {v}", "eats {v}"), ("喜欢吃{v}", "爱吃{v}")),
    ),
    "product": (
        Field(
            ("price", "price", "cost", "价格"),
            "number",
            lambda rng, _: rng.randint(1, 999),
            ("costs {v} dollars", "costs {v}"),
            ("价格是{v}元", "{v}元"),
        ),
        Field(
            ("color", "colour", "颜色"),
            "string",
            lambda rng, lang: rng.choice(words.COLOURS[lang]),
            ("is {v}", "has the colour {v}"),
            ("是{v}", "颜色是{v}"),
        ),
        Field(
            ("count", "quantity", "stock", "数量"),
            "integer",
            lambda rng, _: rng.randint(0, 99),
            ("has {v} in stock",),
            ("有{v}个", "库存{v}个"),
        ),
        Field(
            ("available", "in_stock", "有货"),
            "boolean",
            lambda rng, _: rng.random() < 0.5,
            ("is available", "is not available"),
            ("有货", "没有货"),
        ),
    ),
}
SHAPED = {
    "en": (
        "Give {k} as JSON: {s}",
        "Return JSON with the keys {k}. {s}",
        "Extract {shape} from: {s}",
        "{s} Answer as JSON: {shape}",
        "Write as JSON with {k}: {s}",
        "{s}\nJSON: {shape}",
        "Fill {shape}: {s}",
        "Answer in JSON with this schema: {schema}\n{s}",
        "{s} Reply with a JSON object with the keys {k}.",
        "JSON schema: {schema}\nText: {s}",
        "Turn this into JSON with the fields {k}: {s}",
    ),
    "zh": (
        "用JSON给出{k}：{s}",
        "返回包含{k}的JSON。{s}",
        "从下文提取{shape}：{s}",
        "{s}用JSON回答：{shape}",
        "写成JSON，键为{k}：{s}",
        "{s}\nJSON：{shape}",
        "填写{shape}：{s}",
        "按这个JSON模式回答：{schema}\n{s}",
        "{s}请输出JSON对象，字段是{k}。",
        "JSON模式：{schema}\n文本：{s}",
    ),
}
SHAPELESS = {
    "en": ("{s} Answer in JSON.", "{s} Reply in JSON.", "Answer in JSON: {s}", "{s} Give the answer as JSON."),
    "zh": ("{s}用JSON回答。", "{s}请用JSON格式回答。", "用JSON回答：{s}"),
}
SYSTEM_SHAPED = (
    "Answer in JSON: {shape}",
    "Answer in JSON with this schema: {schema}",
    "用JSON回答：{shape}",
    "You extract data. Reply with JSON: {schema}",
    "Output JSON with the keys {k}.",
)
NAMED_TYPES = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "array": "string[]"}


def said(rng: Random, field: Field, value: Any, language: str) -> str:
    """The clause that says `value`."""
    clauses = field.english if language == "en" else field.chinese
    if field.type == "boolean":
        return clauses[0 if value else 1]
    text = (" and " if language == "en" else "和").join(value) if field.type == "array" else value
    return rng.choice(clauses).format(v=text)


def schema_of(properties: dict[str, str]) -> dict[str, Any]:
    """A JSON schema of the properties, all required."""
    kinds = {
        k: {"type": "array", "items": {"type": "string"}} if t == "array" else {"type": t}
        for k, t in properties.items()
    }
    return {"type": "object", "properties": kinds, "required": list(properties), "additionalProperties": False}


def shape_of(rng: Random, properties: dict[str, str]) -> dict[str, str]:
    """The words a prompt may use for the shape: keys, an example with types, and the schema."""
    quote = rng.choice(("{}", '"{}"'))
    keys = [quote.format(name) for name in properties]
    joined = ", ".join(keys) if rng.random() < 0.4 or len(keys) == 1 else ", ".join(keys[:-1]) + " and " + keys[-1]
    shape = "{" + ", ".join(f'"{name}": {NAMED_TYPES[kind]}' for name, kind in properties.items()) + "}"
    return {"k": joined, "shape": shape, "schema": compact(schema_of(properties))}


def sentence(rng: Random, subject: str, clauses: list[str], language: str) -> str:
    """Clauses about one subject as a sentence."""
    if language == "zh":
        return subject + "，".join(clauses) + "。"
    joined = clauses[0] if len(clauses) == 1 else ", ".join(clauses[:-1]) + " and " + clauses[-1]
    return f"{subject} {joined}."


def extraction(rng: Random, language: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """A sentence, the values to extract from it, and their types."""
    topic = rng.choice(("person", "person", "product"))
    subject = SUBJECTS[topic]
    fields = rng.sample(FIELDS[topic], rng.choice((1, 2, 2, 3)))
    english_keys = language == "en" or rng.random() < 0.7
    chosen = [(subject, subject.value(rng, language))] + [(f, f.value(rng, language)) for f in fields]
    clauses = [said(rng, field, value, language) for field, value in chosen[1:]]
    prefix = "The " if topic == "product" and language == "en" else ""
    text = sentence(rng, prefix + chosen[0][1], clauses, language)
    wanted = chosen if rng.random() < 0.75 else rng.sample(chosen, rng.randint(1, len(chosen)))
    if rng.random() < 0.25:
        rng.shuffle(wanted)
    keyed = [(rng.choice(f.keys[:-1]) if english_keys else f.keys[-1], f, v) for f, v in wanted]
    return text, {key: value for key, _, value in keyed}, {key: field.type for key, field, _ in keyed}


def json_fact(rng: Random, language: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """A question about a fact or a sum whose answer goes under one key."""
    make = rng.choice((capital, colour, opposite, sum_or_difference, sum_or_difference))
    item = drawn(make, rng, language, held_out=False)
    key = rng.choice(("answer", "answer", "answer", "result", "value", item.task if item.task != "sum" else "sum"))
    if item.task == "sum":
        return item.question, {key: int(item.answer)}, {key: "integer"}
    return item.question, {key: item.answer.rstrip(".。")}, {key: "string"}


def json_parts(rng: Random, language: str) -> tuple[str, dict[str, str], str, dict[str, Any]]:
    """Sentence, shape words, answer and schema of one JSON question."""
    make = extraction if rng.random() < 0.78 else json_fact
    text, values, properties = make(rng, language)
    return text, shape_of(rng, properties), compact(values), schema_of(properties)


def json_answer(rng: Random, language: str) -> Item:
    """A question that holds both the text and the shape."""
    text, shape, answer, schema = json_parts(rng, language)
    bare = list(schema["properties"]) == ["answer"] and rng.random() < 0.4
    question = fill(rng.choice((SHAPELESS if bare else SHAPED)[language]), {**shape, "s": text})
    return Item("json", language, question, answer, f"json|{answer}", schema)


def fill(template: str, values: dict[str, str]) -> str:
    """`template` with its names replaced; braces elsewhere stay."""
    for name in ("k", "shape", "schema", "s"):
        template = template.replace("{" + name + "}", values.get(name, ""), 1)
    return template


def json_with_system(rng: Random, language: str) -> tuple[str, Item]:
    """A system prompt that gives the shape, and a question that holds only the text."""
    text, shape, answer, schema = json_parts(rng, language)
    return fill(rng.choice(SYSTEM_SHAPED), shape), Item("json", language, text, answer, f"json|{answer}", schema)
