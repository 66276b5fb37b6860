"""Sums, differences and comparisons of numbers from 0 to 99."""

from random import Random

from training.pilot.dialogue import Item, largest_term, spoken
from training.pilot.words import words_of

Phrasings = dict[str, tuple[str, ...]]
SUMS: Phrasings = {
    "en": (
        "What is {a} plus {b}?",
        "What is {a} + {b}?",
        "{a} + {b} = ?",
        "{a}+{b}",
        "{a} + {b}",
        "Add {a} and {b}.",
        "Calculate {a} + {b}.",
        "How much is {a} plus {b}?",
        "What's the sum of {a} and {b}?",
        "{a} plus {b} equals?",
        "Please compute {a} plus {b}.",
        "If I have {a} apples and get {b} more, how many do I have?",
    ),
    "zh": (
        "{a}加{b}等于多少？",
        "{a}加{b}是多少？",
        "{a}+{b}=？",
        "{a} + {b} 等于几？",
        "{a}加上{b}等于多少？",
        "计算{a}+{b}。",
        "请算一下{a}加{b}。",
        "{a}和{b}的和是多少？",
        "{a} + {b}",
        "我有{a}个苹果，又得到{b}个，一共有几个？",
    ),
}
DIFFERENCES: Phrasings = {
    "en": (
        "What is {a} minus {b}?",
        "What is {a} - {b}?",
        "{a} - {b} = ?",
        "{a}-{b}",
        "{a} - {b}",
        "Subtract {b} from {a}.",
        "Calculate {a} - {b}.",
        "How much is {a} minus {b}?",
        "I have {a} apples and give away {b}. How many are left?",
        "{a} minus {b} equals?",
    ),
    "zh": (
        "{a}减{b}等于多少？",
        "{a}减{b}是多少？",
        "{a}-{b}=？",
        "{a} - {b} 等于几？",
        "{a}减去{b}等于多少？",
        "计算{a}-{b}。",
        "请算一下{a}减{b}。",
        "{a} - {b}",
        "我有{a}个苹果，给出去{b}个，还剩几个？",
    ),
}
LARGER: Phrasings = {
    "en": (
        "Which is larger, {n}?",
        "Which number is bigger: {n}?",
        "What is the largest of {n}?",
        "Which is greater, {n}?",
        "Tell me the larger number: {n}.",
        "Give me the maximum of {n}.",
        "Bigger: {n}?",
    ),
    "zh": (
        "{n}哪个大？",
        "{n}哪个更大？",
        "{n}中最大的是哪个？",
        "哪个数更大：{n}？",
        "请说出较大的数：{n}。",
        "{n}里面谁大？",
    ),
}
SMALLER: Phrasings = {
    "en": (
        "Which is smaller, {n}?",
        "Which number is smaller: {n}?",
        "What is the smallest of {n}?",
        "Which is less, {n}?",
        "Tell me the smaller number: {n}.",
        "Give me the minimum of {n}.",
        "Smaller: {n}?",
    ),
    "zh": (
        "{n}哪个小？",
        "{n}哪个更小？",
        "{n}中最小的是哪个？",
        "哪个数更小：{n}？",
        "请说出较小的数：{n}。",
        "{n}里面谁小？",
    ),
}
GREATER: Phrasings = {
    "en": (
        "Is {a} greater than {b}?",
        "Is {a} larger than {b}?",
        "Is {a} bigger than {b}?",
        "Is {a} more than {b}?",
        "Is {a} > {b}?",
    ),
    "zh": ("{a}大于{b}吗？", "{a}比{b}大吗？", "{a}是不是比{b}大？", "{a} > {b} 对吗？"),
}
LESS: Phrasings = {
    "en": ("Is {a} less than {b}?", "Is {a} smaller than {b}?", "Is {a} lower than {b}?", "Is {a} < {b}?"),
    "zh": ("{a}小于{b}吗？", "{a}比{b}小吗？", "{a}是不是比{b}小？", "{a} < {b} 对吗？"),
}
YES_NO = {"en": ("Yes.", "No."), "zh": ("是的。", "不是。")}


WORDS = {
    "en": words_of("zero one two three four five six seven eight nine ten eleven twelve"),
    "zh": words_of("零 一 二 三 四 五 六 七 八 九 十 十一 十二"),
}


def number(rng: Random) -> int:
    """A number of a sum, small ones oftener."""
    return rng.randint(0, largest_term(rng)) if rng.random() < 0.6 else rng.randint(0, 30)


def addition(rng: Random, language: str) -> Item:
    """a + b."""
    a, b = number(rng), number(rng)
    in_words = rng.random() < 0.06
    if in_words:
        a, b = rng.randint(0, 12), rng.randint(0, 12)
    written = (WORDS[language][a], WORDS[language][b]) if in_words else (a, b)
    question = spoken(rng, rng.choice(SUMS[language]), a=written[0], b=written[1])
    return Item("sum", language, question, str(a + b), f"sum|{min(a, b)}|{max(a, b)}")


def difference(rng: Random, language: str) -> Item:
    """a - b, seldom below zero."""
    b, a = sorted((number(rng), number(rng)))
    if rng.random() < 0.15:
        a, b = b, a
    question = spoken(rng, rng.choice(DIFFERENCES[language]), a=a, b=b)
    return Item("sum", language, question, str(a - b), f"difference|{a}|{b}")


def sum_or_difference(rng: Random, language: str) -> Item:
    """An addition or, less often, a subtraction."""
    return addition(rng, language) if rng.random() < 0.6 else difference(rng, language)


def listed(rng: Random, numbers: list[int], language: str) -> str:
    """Numbers as people list them."""
    if language == "zh":
        if len(numbers) == 2:
            return rng.choice(("{}和{}", "{}还是{}", "{}、{}", "{}，{}")).format(*numbers)
        return rng.choice(("{}、{}和{}", "{}、{}、{}", "{}，{}，{}")).format(*numbers)
    if len(numbers) == 2:
        return rng.choice(("{} or {}", "{} and {}", "{}, {}")).format(*numbers)
    return rng.choice(("{}, {} or {}", "{}, {} and {}", "{}, {}, {}")).format(*numbers)


def choice_of_numbers(rng: Random, language: str) -> Item:
    """The larger or smaller of two or three numbers."""
    count = 2 if rng.random() < 0.65 else 3
    numbers = rng.sample(range(100), count)
    if rng.random() < 0.4:
        first = rng.randint(1, 95)
        numbers = rng.sample(range(max(0, first - 6), min(100, first + 6)), count)
    phrasings, pick = rng.choice(((LARGER, max), (SMALLER, min)))
    question = spoken(rng, rng.choice(phrasings[language]), n=listed(rng, numbers, language))
    return Item("compare", language, question, str(pick(numbers)), "compare|" + "|".join(map(str, sorted(numbers))))


def yes_or_no(rng: Random, language: str) -> Item:
    """Whether one number is greater or less than another."""
    a = rng.randint(0, 99)
    b = rng.randint(0, 99) if rng.random() < 0.5 else min(99, max(0, a + rng.randint(-9, 9)))
    if a == b:
        b = a + 1 if a < 99 else 98
    if rng.random() < 0.5:
        phrasings, holds = GREATER, a > b
    else:
        phrasings, holds = LESS, a < b
    question = spoken(rng, rng.choice(phrasings[language]), a=a, b=b)
    return Item("compare", language, question, YES_NO[language][0 if holds else 1], f"compare|{min(a, b)}|{max(a, b)}")


def comparison(rng: Random, language: str) -> Item:
    """Any comparison."""
    return yes_or_no(rng, language) if rng.random() < 0.45 else choice_of_numbers(rng, language)
