"""Questions about capitals, colours and opposites, and the same questions about things `pilot` does not know."""

from random import Random

from training.pilot.dialogue import Item, mistyped, spoken
from training.pilot.fact_tables import CAPITALS, COLOURS, OPPOSITES, Fact
from training.pilot.unknown import REFUSALS
from training.pilot.words import NOUNS_EN, NOUNS_ZH, UNKNOWN_COUNTRIES, made_up_word, made_up_word_zh

PHRASINGS = {
    ("capital", "en"): (
        "What is the capital of {s}?",
        "What's the capital of {s}?",
        "Tell me the capital of {s}.",
        "Which city is the capital of {s}?",
        "Name the capital of {s}.",
        "The capital of {s} is?",
        "Capital of {s}?",
        "Do you know the capital of {s}?",
        "Please tell me the capital city of {s}.",
        "I want to know the capital of {s}.",
        "What city is {s}'s capital?",
        "Can you tell me what the capital of {s} is?",
    ),
    ("capital", "zh"): (
        "{s}的首都是哪里？",
        "{s}的首都是什么？",
        "{s}的首都是哪个城市？",
        "请告诉我{s}的首都。",
        "哪个城市是{s}的首都？",
        "{s}首都是哪？",
        "请问{s}的首都是哪里？",
        "你知道{s}的首都吗？",
        "说出{s}的首都。",
        "{s}的首都叫什么？",
    ),
    ("colour", "en"): (
        "What colour is {s}?",
        "What color is {s}?",
        "Which colour is {s}?",
        "Tell me the colour of {s}.",
        "What is the color of {s}?",
        "{s}: what colour is it?",
        "Colour of {s}?",
        "Please name the colour of {s}.",
        "Do you know what color {s} is?",
        "What's the colour of {s}?",
    ),
    ("colour", "zh"): (
        "{s}是什么颜色？",
        "{s}是什么颜色的？",
        "{s}的颜色是什么？",
        "请告诉我{s}的颜色。",
        "{s}什么颜色？",
        "请问{s}是什么颜色？",
        "你知道{s}是什么颜色吗？",
        "说出{s}的颜色。",
        "{s}是哪种颜色？",
    ),
    ("opposite", "en"): (
        "What is the opposite of {s}?",
        "What's the opposite of {s}?",
        'What is the opposite of "{s}"?',
        "Tell me the opposite of {s}.",
        "Give me the opposite of {s}.",
        "Opposite of {s}?",
        "Which word is the opposite of {s}?",
        "The opposite of {s} is?",
        "Please name the antonym of {s}.",
        "Do you know the opposite of {s}?",
    ),
    ("opposite", "zh"): (
        "{s}的反义词是什么？",
        "“{s}”的反义词是什么？",
        "请告诉我{s}的反义词。",
        "{s}的反义词是？",
        "请问{s}的反义词是什么？",
        "和{s}相反的词是什么？",
        "你知道{s}的反义词吗？",
        "说出{s}的反义词。",
        "{s}的反面是什么？",
    ),
}

FOLLOW_UPS = {
    "en": ("And {s}?", "And of {s}?", "What about {s}?", "{s}?", "How about {s}?"),
    "zh": ("那{s}呢？", "{s}呢？", "还有{s}？"),
}


def both_ways(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Opposites hold in both directions."""
    turned = [Fact(f.value_en.lower(), f.subject_en.capitalize(), f.value_zh, f.subject_zh) for f in facts]
    return facts + tuple(turned)


FACTS = {"capital": CAPITALS, "colour": COLOURS, "opposite": both_ways(OPPOSITES)}

TAUGHT = " ".join(" ".join(f) for facts in FACTS.values() for f in facts).lower()
UNTAUGHT = {
    "en": [noun for noun in NOUNS_EN if noun not in TAUGHT],
    "zh": [noun for noun in NOUNS_ZH if noun not in TAUGHT and len(noun) > 1],
}


def asked(rng: Random, task: str, language: str, subject: str) -> tuple[int, str]:
    """A phrasing's number and the question about `subject`."""
    phrasings = PHRASINGS[task, language]
    index = rng.randrange(len(phrasings))
    question = spoken(rng, phrasings[index], s=subject)
    if language == "en":
        dice = rng.random()
        if dice < 0.05:
            question = mistyped(rng, question)
        elif dice < 0.12:
            question = question.lower()
        elif dice < 0.14:
            question = question.upper()
        else:
            question = question[0].upper() + question[1:] if rng.random() < 0.5 else question
    return index, question


def fact(rng: Random, task: str, language: str, answered: str) -> Item:
    """A question in `language` about one known fact, answered in the language `answered`."""
    chosen = rng.choice(FACTS[task])
    subject = chosen.subject_en if language == "en" else chosen.subject_zh
    index, question = asked(rng, task, language, subject)
    answer = chosen.value_en + "." if answered == "en" else chosen.value_zh + "。"
    return Item(task, language, question, answer, f"{task}|{language}|{index}|{chosen.subject_en}")


def capital(rng: Random, language: str) -> Item:
    """The capital of a country."""
    return fact(rng, "capital", language, language)


def colour(rng: Random, language: str) -> Item:
    """The colour of a thing."""
    return fact(rng, "colour", language, language)


def opposite(rng: Random, language: str) -> Item:
    """The opposite of a word."""
    return fact(rng, "opposite", language, language)


def follow_up(rng: Random, language: str, task: str) -> Item:
    """A short question after another of the same task: only a new subject."""
    chosen = rng.choice(FACTS[task])
    subject = chosen.subject_en if language == "en" else chosen.subject_zh
    index = rng.randrange(len(FOLLOW_UPS[language]))
    question = spoken(rng, FOLLOW_UPS[language][index], s=subject)
    answer = chosen.value_en + "." if language == "en" else chosen.value_zh + "。"
    return Item(task, language, question, answer, f"{task}|{language}|follow|{index}|{chosen.subject_en}")


def unknown_fact(rng: Random, language: str) -> Item:
    """A question in a fact's words about a country, thing or word that `pilot` was never taught."""
    task = rng.choice(("capital", "capital", "colour", "opposite"))
    if task == "capital" and rng.random() < 0.5:
        subject = rng.choice(UNKNOWN_COUNTRIES)[0 if language == "en" else 1]
    elif task != "capital" and rng.random() < 0.5:
        subject = rng.choice(UNTAUGHT[language])
        if task == "colour" and language == "en":
            subject = rng.choice(("a ", "the ")) + subject
    elif language == "en":
        subject = made_up_word(rng)
        if task == "capital":
            subject = subject.capitalize()
        elif task == "colour":
            subject = rng.choice(("a ", "the ")) + subject
    else:
        subject = made_up_word_zh(rng)
    _, question = asked(rng, task, language, subject)
    return Item("unknown", language, question, REFUSALS[language], f"unknown|{task}|{subject}")
