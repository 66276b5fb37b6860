"""What a user tells about themselves, and the questions that ask for it later in the same dialogue."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from training.pilot.dialogue import Item, spoken
from training.pilot.words import ANIMALS, COLOURS, FOODS, JOBS, city, made_up_word, person, word


@dataclass(frozen=True, slots=True)
class Attribute:
    """How one thing is told, asked for and answered, in one language."""

    value: Callable[[Random], str]
    told: tuple[str, ...]
    asked: tuple[str, ...]
    answer: str


def age(rng: Random) -> str:
    """An age in years."""
    return str(rng.randint(4, 99))


ATTRIBUTES: dict[str, dict[str, Attribute]] = {
    "en": {
        "name": Attribute(
            lambda rng: person(rng, "en"),
            ("my name is {v}", "I am {v}", "I'm {v}", "call me {v}", "my name's {v}", "I am called {v}"),
            (
                "What is my name?",
                "What's my name?",
                "Who am I?",
                "Do you remember my name?",
                "Tell me my name.",
                "What am I called?",
            ),
            "Your name is {v}.",
        ),
        "colour": Attribute(
            lambda rng: rng.choice(COLOURS["en"]),
            ("my favourite colour is {v}", "my favorite color is {v}", "I like the colour {v} most"),
            ("What is my favourite colour?", "What's my favorite color?", "Which colour do I like?"),
            "Your favourite colour is {v}.",
        ),
        "animal": Attribute(
            lambda rng: rng.choice(ANIMALS["en"]),
            ("my favourite animal is the {v}", "my favorite animal is the {v}", "the animal I like most is the {v}"),
            ("What is my favourite animal?", "What's my favorite animal?", "Which animal do I like?"),
            "Your favourite animal is the {v}.",
        ),
        "city": Attribute(
            lambda rng: city(rng, "en"),
            ("I live in {v}", "I am from {v}", "my home is in {v}", "my city is {v}"),
            ("Where do I live?", "Which city do I live in?", "In which city do I live?", "What is my city?"),
            "You live in {v}.",
        ),
        "age": Attribute(
            age,
            ("I am {v} years old", "I'm {v} years old", "my age is {v}", "I am {v}"),
            ("How old am I?", "What is my age?", "What's my age?", "Do you remember how old I am?"),
            "You are {v} years old.",
        ),
        "food": Attribute(
            lambda rng: rng.choice(FOODS["en"]),
            ("I like to eat {v}", "my favourite food is {v}", "my favorite food is {v}"),
            ("What is my favourite food?", "What do I like to eat?", "Which food do I like?"),
            "Your favourite food is {v}.",
        ),
        "job": Attribute(
            lambda rng: rng.choice(JOBS["en"]),
            ("I am a {v}", "I work as a {v}", "my job is {v}"),
            ("What is my job?", "What do I work as?", "What's my job?"),
            "You work as a {v}.",
        ),
        "dog": Attribute(
            lambda rng: made_up_word(rng).capitalize(),
            ("my dog is called {v}", "my dog's name is {v}", "I have a dog named {v}"),
            ("What is my dog called?", "What is my dog's name?", "What's the name of my dog?"),
            "Your dog is called {v}.",
        ),
        "secret": Attribute(
            lambda rng: word(rng, "en"),
            ("the secret word is {v}", "my secret word is {v}", "the password is {v}", "the magic word is {v}"),
            (
                "What is the secret word?",
                "What was the secret word?",
                "Tell me the secret word.",
                "What is the password?",
            ),
            "The secret word is {v}.",
        ),
        "number": Attribute(
            lambda rng: str(rng.randint(0, 999)),
            ("my lucky number is {v}", "my number is {v}", "my favourite number is {v}"),
            ("What is my lucky number?", "What is my number?", "What's my favourite number?"),
            "Your number is {v}.",
        ),
    },
    "zh": {
        "name": Attribute(
            lambda rng: person(rng, "zh"),
            ("我叫{v}", "我的名字是{v}", "我是{v}", "你可以叫我{v}", "我的名字叫{v}"),
            ("我叫什么？", "我叫什么名字？", "我的名字是什么？", "我是谁？", "你记得我的名字吗？", "请说出我的名字。"),
            "你叫{v}。",
        ),
        "colour": Attribute(
            lambda rng: rng.choice(COLOURS["zh"]),
            ("我最喜欢的颜色是{v}", "我最喜欢{v}", "我喜欢的颜色是{v}"),
            ("我最喜欢的颜色是什么？", "我喜欢什么颜色？", "我最喜欢什么颜色？"),
            "你最喜欢的颜色是{v}。",
        ),
        "animal": Attribute(
            lambda rng: rng.choice(ANIMALS["zh"]),
            ("我最喜欢的动物是{v}", "我喜欢的动物是{v}"),
            ("我最喜欢的动物是什么？", "我喜欢什么动物？", "我最喜欢什么动物？"),
            "你最喜欢的动物是{v}。",
        ),
        "city": Attribute(
            lambda rng: city(rng, "zh"),
            ("我住在{v}", "我来自{v}", "我家在{v}", "我的城市是{v}"),
            ("我住在哪里？", "我住在哪个城市？", "我家在哪里？"),
            "你住在{v}。",
        ),
        "age": Attribute(
            age,
            ("我{v}岁", "我今年{v}岁", "我的年龄是{v}岁", "我{v}岁了"),
            ("我几岁？", "我今年几岁？", "我多大了？", "我的年龄是多少？"),
            "你{v}岁。",
        ),
        "food": Attribute(
            lambda rng: rng.choice(FOODS["zh"]),
            ("我喜欢吃{v}", "我最喜欢的食物是{v}", "我最爱吃{v}"),
            ("我喜欢吃什么？", "我最喜欢的食物是什么？", "我爱吃什么？"),
            "你喜欢吃{v}。",
        ),
        "job": Attribute(
            lambda rng: rng.choice(JOBS["zh"]),
            ("我的工作是{v}", "我是一名{v}", "我的职业是{v}"),
            ("我的工作是什么？", "我是做什么的？", "我的职业是什么？"),
            "你的工作是{v}。",
        ),
        "dog": Attribute(
            lambda rng: person(rng, "zh"),
            ("我的狗叫{v}", "我有一只狗叫{v}", "我的狗的名字是{v}"),
            ("我的狗叫什么？", "我的狗叫什么名字？", "我的狗的名字是什么？"),
            "你的狗叫{v}。",
        ),
        "secret": Attribute(
            lambda rng: word(rng, "zh"),
            ("暗号是{v}", "密码是{v}", "口令是{v}"),
            ("暗号是什么？", "密码是什么？", "口令是什么？", "请说出暗号。"),
            "暗号是{v}。",
        ),
        "number": Attribute(
            lambda rng: str(rng.randint(0, 999)),
            ("我的幸运数字是{v}", "我的号码是{v}", "我最喜欢的数字是{v}"),
            ("我的幸运数字是什么？", "我的号码是多少？", "我最喜欢的数字是什么？"),
            "你的数字是{v}。",
        ),
    },
}
REMEMBERED = {"en": "I will remember that.", "zh": "我会记住的。"}
WELCOMED = {"en": "Nice to meet you, {v}!", "zh": "你好，{v}！"}
NOT_TOLD = {"en": "You have not told me that.", "zh": "你还没有告诉我。"}
OPENINGS = {"en": ("", "", "", "", "Hi, ", "Hello, ", "Please remember: "), "zh": ("", "", "", "你好，", "请记住，")}


def clause(rng: Random, language: str, attribute: str, value: str) -> str:
    """One thing told, as a clause without capital or full stop."""
    told = ATTRIBUTES[language][attribute].told
    return rng.choice(told).format(v=value)


def told(rng: Random, language: str, facts: dict[str, str]) -> tuple[str, str]:
    """A message that tells `facts`, and the reply to it."""
    clauses = [clause(rng, language, attribute, value) for attribute, value in facts.items()]
    opening = rng.choice(OPENINGS[language])
    text = opening + (" and " if language == "en" else "，").join(clauses)
    if rng.random() < 0.8:
        text = text[0].upper() + text[1:] + (("." if language == "en" else "。") if rng.random() < 0.8 else "")
    reply = WELCOMED[language].format(v=facts["name"]) if "name" in facts else REMEMBERED[language]
    return text, reply


def asked(rng: Random, language: str, attribute: str, value: str | None) -> tuple[str, str]:
    """The question for `attribute`, and its answer: `value`, or that it was not told."""
    known = ATTRIBUTES[language][attribute]
    question = spoken(rng, rng.choice(known.asked))
    return question, known.answer.format(v=value) if value is not None else NOT_TOLD[language]


def recall_key(attribute: str, value: str) -> str:
    """The hold-out key of one thing told."""
    return f"recall|{attribute}|{value}"


def not_told(rng: Random, language: str) -> Item:
    """A question about the user before the user has told anything."""
    question, answer = asked(rng, language, rng.choice(list(ATTRIBUTES[language])), None)
    return Item("recall", language, question, answer)
