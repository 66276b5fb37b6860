"""Repeating and reversing short lists, and repeating a short phrase word for word."""

from random import Random

from training.pilot.dialogue import Item, spoken
from training.pilot.words import ADJECTIVES_EN, NOUNS_EN, person, word

REPEAT = {
    "en": (
        "Repeat: {x}",
        "Repeat after me: {x}",
        "Please repeat: {x}",
        "Say: {x}",
        "Repeat this list: {x}",
        "Say this back to me: {x}",
        "Repeat the following: {x}",
        "Echo: {x}",
        "Copy this: {x}",
    ),
    "zh": (
        "重复：{x}",
        "请重复：{x}",
        "跟我说：{x}",
        "跟我念：{x}",
        "请说：{x}",
        "重复这个列表：{x}",
        "照着说一遍：{x}",
        "复述：{x}",
    ),
}
REVERSE = {
    "en": (
        "Reverse: {x}",
        "Reverse this list: {x}",
        "Please reverse: {x}",
        "Say in reverse order: {x}",
        "Put this list backwards: {x}",
        "Turn the order around: {x}",
        "Reverse the order of: {x}",
        "List these backwards: {x}",
    ),
    "zh": (
        "倒序：{x}",
        "请倒过来：{x}",
        "把这个列表倒过来：{x}",
        "反过来说：{x}",
        "请倒序列出：{x}",
        "颠倒顺序：{x}",
        "从后往前说：{x}",
    ),
}


def items(rng: Random, language: str) -> list[str]:
    """Two to five different words, numbers or names."""
    count = rng.choice((2, 3, 3, 3, 4, 4, 5))
    kind = rng.random()
    chosen: list[str] = []
    while len(chosen) < count:
        if kind < 0.6:
            entry = word(rng, language)
        elif kind < 0.85:
            entry = str(rng.randint(0, 99))
        else:
            entry = person(rng, language)
        if entry not in chosen:
            chosen.append(entry)
    return chosen


def separator(rng: Random, language: str) -> str:
    """What stands between the items; the answer keeps it."""
    if language == "zh":
        return rng.choice(("、", "、", "，", " "))
    return rng.choice((", ", ", ", ", ", " "))


def repetition(rng: Random, language: str) -> Item:
    """A list said again."""
    joined = separator(rng, language).join(items(rng, language))
    return Item("repeat", language, rng.choice(REPEAT[language]).format(x=joined), joined, "repeat|" + joined)


def reversal(rng: Random, language: str) -> Item:
    """A list said backwards."""
    chosen, between = items(rng, language), separator(rng, language)
    forwards, backwards = between.join(chosen), between.join(reversed(chosen))
    question = rng.choice(REVERSE[language]).format(x=forwards)
    return Item("reverse", language, question, backwards, "reverse|" + forwards)


def phrase(rng: Random, language: str) -> Item:
    """A short phrase, sometimes in quotes, said again without them."""
    if language == "zh":
        text = rng.choice(("{n}在{m}里", "我喜欢{n}", "{n}很大", "你好{n}", "今天有{n}和{m}", "{n}不是{m}"))
        text = text.format(n=word(rng, "zh"), m=word(rng, "zh"))
        asked = rng.choice(REPEAT["zh"]).format(x=rng.choice(("{}", "“{}”")).format(text))
    else:
        text = rng.choice(
            (
                "the {a} {n} and the {m}",
                "hello {n}",
                "I like the {a} {n}",
                "my {n} is {a}",
                "{a} {n}",
                "a {n} is not a {m}",
            )
        )
        text = text.format(a=rng.choice(ADJECTIVES_EN), n=word(rng, "en"), m=rng.choice(NOUNS_EN))
        asked = rng.choice(REPEAT["en"]).format(x=rng.choice(("{}", '"{}"')).format(text))
    return Item("repeat", language, asked, text, "repeat|" + text)


def repeat(rng: Random, language: str) -> Item:
    """A list or a phrase to repeat; the instruction may lack its capital."""
    item = repetition(rng, language) if rng.random() < 0.7 else phrase(rng, language)
    return lowered(rng, item)


def reverse(rng: Random, language: str) -> Item:
    """A list to reverse; the instruction may lack its capital."""
    return lowered(rng, reversal(rng, language))


def lowered(rng: Random, item: Item) -> Item:
    """Sometimes the first letter of the question in lower case, or a trailing space."""
    question = item.question
    if rng.random() < 0.15:
        question = question[0].lower() + question[1:]
    if rng.random() < 0.1:
        question = spoken(rng, "{q} ", q=question)
    return Item(item.task, item.language, question, item.answer, item.key)
