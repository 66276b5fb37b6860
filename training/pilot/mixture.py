"""Mixes all tasks into training dialogues: one to four turns, with or without a system prompt or tools."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

from training.pilot.arithmetic import YES_NO, comparison, sum_or_difference
from training.pilot.dialogue import (
    LANGUAGES,
    Dialogue,
    Item,
    Maker,
    Message,
    assistant,
    compact,
    drawn,
    is_held_out,
    system,
    user,
)
from training.pilot.facts import capital, colour, fact, follow_up, opposite, unknown_fact
from training.pilot.json_answers import json_with_system
from training.pilot.lists import repeat, reverse
from training.pilot.recall import ATTRIBUTES, NOT_TOLD, asked, recall_key, told
from training.pilot.smalltalk import TALK, smalltalk
from training.pilot.system_prompts import language_prompt, marked, neutral_prompt, persona_prompt
from training.pilot.tool_dialogues import tool_dialogue, unrelated_tools, unserved_request
from training.pilot.unknown import REFUSALS, unknown
from training.pilot.weights import Mixture

FACT_MAKERS: dict[Maker, str] = {capital: "capital", colour: "colour", opposite: "opposite"}


BESIDE_TOOLS: tuple[Maker, ...] = (capital, colour, opposite, repeat, reverse, smalltalk, comparison)
IN_PERSONA: tuple[Maker, ...] = (
    capital,
    colour,
    opposite,
    sum_or_difference,
    comparison,
    repeat,
    reverse,
    unknown,
    smalltalk,
    unknown_fact,
)


def translations() -> dict[tuple[str, str], str]:
    """Every fixed answer in the other language, by answer and wanted language."""
    pairs = [(REFUSALS["en"], REFUSALS["zh"]), (NOT_TOLD["en"], NOT_TOLD["zh"])]
    pairs += list(zip(YES_NO["en"], YES_NO["zh"], strict=True))
    pairs += [(en[1], zh[1]) for en, zh in zip(TALK["en"], TALK["zh"], strict=True)]
    return {(en, "zh"): zh for en, zh in pairs} | {(zh, "en"): en for en, zh in pairs}


TRANSLATIONS = translations()


def chosen(rng: Random, weights: Mapping[Any, float]) -> Any:
    """One key, by weight."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def turns(rng: Random) -> int:
    """How many turns a dialogue has."""
    return rng.choices((1, 2, 3, 4), weights=(32, 30, 23, 15))[0]


def item(rng: Random, mixture: Mixture, language: str) -> Item:
    """Any item that is not held out."""
    make: Maker = chosen(rng, mixture.items)
    return drawn(make, rng, language, held_out=False)


def chat(rng: Random, mixture: Mixture, language: str) -> Dialogue:
    """Several questions in a row, now and then in the other language, often without a system prompt."""
    dialogue = Dialogue("chat", language)
    if rng.random() < 0.25:
        dialogue.messages.append(system(neutral_prompt(rng)))
    for _ in range(turns(rng)):
        spoken_in = rng.choice(LANGUAGES) if rng.random() < 0.1 else language
        asked_for = item(rng, mixture, spoken_in)
        dialogue.add(asked_for)
        while asked_for.task in FACT_MAKERS.values() and rng.random() < 0.2:
            asked_for = drawn(partial(follow_up, task=asked_for.task), rng, spoken_in, held_out=False)
            dialogue.add(asked_for)
    return dialogue


def drill(rng: Random, mixture: Mixture, language: str) -> Dialogue:
    """Six to ten short questions in a row: the cheapest way to see many."""
    dialogue = Dialogue("drill", language)
    for _ in range(rng.randint(6, 10)):
        make: Maker = chosen(rng, mixture.drilled)
        dialogue.add(drawn(make, rng, language, held_out=False))
    return dialogue


def item_in_persona(rng: Random, language: str, held_out: bool, scene: tuple[str, int]) -> Item:
    """An item whose answer carries the persona's mark; `scene` is the persona and its prompt's number."""
    persona, index = scene
    while True:
        base = drawn(rng.choice(IN_PERSONA), rng, language, held_out=False)
        key = f"persona|{persona}|{index}|{base.key or base.question}"
        if is_held_out(key) == held_out:
            return Item("persona", language, base.question, marked(persona, language, base.answer), key)


def persona(rng: Random, mixture: Mixture, language: str, held_out: bool = False) -> Dialogue:
    """A dialogue under a one-word persona; what the user told about themselves is recalled in it too."""
    prompted = language if rng.random() < 0.75 else rng.choice(LANGUAGES)
    name, prompt, index = persona_prompt(rng, prompted)
    dialogue = Dialogue("persona", language, [system(prompt)])
    count = 1 if held_out else turns(rng)
    for _ in range(count):
        dialogue.add(item_in_persona(rng, language, held_out, (name, index)))
    if not held_out and rng.random() < 0.15:
        remembered = recall(rng, mixture, language)
        for message in remembered.messages:
            if message["role"] == "assistant":
                message["content"] = marked(name, language, message["content"])
        dialogue.messages += [m for m in remembered.messages if m["role"] != "system"]
    return dialogue


def item_answered_in(rng: Random, asked_in: str, answered: str) -> Item:
    """An item asked in one language and answered in another."""
    make = rng.choice((capital, colour, opposite, sum_or_difference, comparison, unknown, smalltalk, unknown_fact))
    if make in FACT_MAKERS:
        return drawn(lambda r, lang: fact(r, FACT_MAKERS[make], lang, answered), rng, asked_in, held_out=False)
    base = drawn(make, rng, asked_in, held_out=False)
    answer = TRANSLATIONS.get((base.answer, answered), base.answer)
    return Item("language", asked_in, base.question, answer, base.key)


def language(rng: Random, mixture: Mixture, asked_in: str, held_out: bool = False) -> Dialogue:
    """A dialogue whose system prompt rules the language of the answers, whatever the questions' language."""
    answered = rng.choice(LANGUAGES) if rng.random() < 0.4 else ("zh" if asked_in == "en" else "en")
    prompt, index = language_prompt(rng, answered)
    dialogue = Dialogue("language", asked_in, [system(prompt)])
    count = 1 if held_out else turns(rng)
    while count:
        base = item_answered_in(rng, asked_in, answered)
        key = f"language|{answered}|{index}|{base.key or base.question}"
        if is_held_out(key) == held_out:
            dialogue.add(Item("language", asked_in, base.question, base.answer, key))
            count -= 1
    return dialogue


def told_facts(rng: Random, spoken_in: str, held_out: bool) -> dict[str, str]:
    """One to three things a user tells, the name oftener; if `held_out`, the first was never told in training."""
    names = ["name"] if rng.random() < 0.55 else []
    names += rng.sample([a for a in ATTRIBUTES[spoken_in] if a != "name"], rng.choice((0, 1, 1, 2)))
    facts: dict[str, str] = {}
    for attribute in names or ["name"]:
        wanted = held_out and not facts
        for _ in range(400):
            value = ATTRIBUTES[spoken_in][attribute].value(rng)
            if is_held_out(recall_key(attribute, value)) == wanted:
                facts[attribute] = value
                break
    return facts


def recall(rng: Random, mixture: Mixture, spoken_in: str, held_out: bool = False) -> Dialogue:
    """The user tells things, asks others, then asks for what was told (or for what was not)."""
    facts = told_facts(rng, spoken_in, held_out)
    while held_out and not any(is_held_out(recall_key(a, v)) for a, v in facts.items()):
        facts = told_facts(rng, spoken_in, held_out)
    dialogue = Dialogue("recall", spoken_in, keys=[recall_key(a, v) for a, v in facts.items()])
    if rng.random() < 0.25:
        dialogue.messages.append(system(neutral_prompt(rng)))
    together = rng.random() < 0.6
    for part in [facts] if together else [{a: v} for a, v in facts.items()]:
        text, reply = told(rng, spoken_in, part)
        dialogue.messages += [user(text), assistant(reply)]
        if rng.random() < 0.45:
            dialogue.add(item(rng, mixture, spoken_in))
    if rng.random() < 0.3:
        dialogue.add(item(rng, mixture, spoken_in))
    wanted = list(facts) if held_out else rng.sample(list(facts), rng.randint(1, len(facts)))
    if not held_out and rng.random() < 0.2:
        wanted.insert(0, rng.choice([a for a in ATTRIBUTES[spoken_in] if a not in facts]))
    for attribute in wanted[:1] if held_out else wanted:
        question, answer = asked(rng, spoken_in, attribute, facts.get(attribute))
        dialogue.messages += [user(question), assistant(answer)]
    return dialogue


def tools(rng: Random, mixture: Mixture, spoken_in: str) -> Dialogue:
    """One or two tool calls, with other questions before and after."""
    dialogue = tool_dialogue(rng, spoken_in, exchanges=1 if rng.random() < 0.6 else 2)
    if rng.random() < 0.3:
        dialogue.add(drawn(rng.choice(BESIDE_TOOLS), rng, spoken_in, held_out=False))
    before: list[Message] = []
    if rng.random() < 0.25:
        first = drawn(rng.choice(BESIDE_TOOLS), rng, spoken_in, held_out=False)
        before = [user(first.question), assistant(first.answer)]
        dialogue.keys.append(first.key)
    if rng.random() < 0.3:
        before.insert(0, system(neutral_prompt(rng)))
    dialogue.messages[:0] = before
    space_calls(dialogue)
    return dialogue


def space_calls(dialogue: Dialogue) -> None:
    """Writes the calls' arguments in the one style that `pilot` should learn to write."""
    for message in dialogue.messages:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = compact(json.loads(call["function"]["arguments"]))


def no_tool(rng: Random, mixture: Mixture, spoken_in: str, held_out: bool = False) -> Dialogue:
    """Tools are given and none fits: a plain answer, or the honest sentence."""
    if rng.random() < 0.5:
        asked_for = drawn(unserved_request, rng, spoken_in, held_out)
        given = unrelated_tools(rng, spoken_in, asked_for)
    else:
        make = rng.choice((*BESIDE_TOOLS, sum_or_difference, sum_or_difference, unknown))
        asked_for = drawn(make, rng, spoken_in, held_out and make is not smalltalk)
        given = unrelated_tools(rng, spoken_in, None)
    dialogue = Dialogue("tool_none", spoken_in, tools=given)
    if rng.random() < 0.2:
        dialogue.messages.append(system(neutral_prompt(rng)))
    dialogue.add(asked_for)
    return dialogue


def json_ruled(rng: Random, mixture: Mixture, spoken_in: str) -> Dialogue:
    """A system prompt gives the shape of the JSON answers; the user gives only texts."""
    while True:
        prompt, asked_for = json_with_system(rng, spoken_in)
        if not is_held_out(asked_for.key):
            dialogue = Dialogue("json", spoken_in, [system(prompt)])
            dialogue.add(asked_for)
            return dialogue


KINDS: dict[str, Callable[[Random, Mixture, str], Dialogue]] = {
    "chat": chat,
    "drill": drill,
    "persona": persona,
    "language": language,
    "recall": recall,
    "tools": tools,
    "no_tool": no_tool,
    "json": json_ruled,
}


def dialogue(rng: Random, mixture: Mixture) -> Dialogue:
    """The next training dialogue; no key in it is held out."""
    kind = str(chosen(rng, mixture.dialogues))
    return KINDS[kind](rng, mixture, rng.choice(LANGUAGES))
