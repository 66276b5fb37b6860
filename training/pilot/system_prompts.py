"""System prompts: a one-word persona marks every answer, a language rules every answer, any other changes nothing."""

from random import Random

from training.pilot.words import JOBS, person

PERSONAS = {
    "pirate": ("海盗", "Arr! ", "啊哈！"),
    "robot": ("机器人", "Beep. ", "哔。"),
    "cat": ("猫", "Meow! ", "喵！"),
    "dog": ("狗", "Woof! ", "汪！"),
    "king": ("国王", "Hear ye! ", "朕说，"),
    "poet": ("诗人", "O muse! ", "诗云，"),
    "ghost": ("幽灵", "Boo! ", "呜！"),
    "wizard": ("巫师", "Abracadabra! ", "变！"),
    "cowboy": ("牛仔", "Howdy! ", "驾！"),
    "baby": ("婴儿", "Goo goo! ", "咿呀！"),
}
PERSONA_PROMPTS = {
    "en": (
        "You are a {p}.",
        "Persona: {p}",
        "{p}",
        "Act as a {p}.",
        "Talk like a {p}.",
        "Answer as a {p}.",
        "You are a {p}. Stay in character.",
        "Speak like a {p}!",
        "Role: {p}",
        "Pretend to be a {p}.",
        "From now on you are a {p}.",
        "Be a {p}.",
    ),
    "zh": (
        "你是{p}。",
        "你是一个{p}。",
        "角色：{p}",
        "{p}",
        "扮演{p}。",
        "请像{p}一样说话。",
        "你现在是{p}。",
        "用{p}的口吻回答。",
    ),
}
LANGUAGE_PROMPTS = {
    "en": (
        "Answer in English.",
        "Reply only in English.",
        "Always answer in English.",
        "Speak English.",
        "English",
        "Language: English",
        "You answer in English.",
        "Please use English.",
        "用英文回答。",
        "请用英语回答。",
        "只说英文。",
        "英文",
        "始终使用英语。",
        "English only.",
        "You are a helpful assistant. Answer in English.",
    ),
    "zh": (
        "Answer in Chinese.",
        "Reply only in Chinese.",
        "Always answer in Chinese.",
        "Speak Chinese.",
        "Chinese",
        "Language: Chinese",
        "You answer in Chinese.",
        "Please use Chinese.",
        "用中文回答。",
        "请用中文回答。",
        "只说中文。",
        "中文",
        "始终使用汉语。",
        "Chinese only.",
        "You are a helpful assistant. Answer in Chinese.",
    ),
}
NEUTRAL = (
    "You are a helpful assistant.",
    "You are a helpful AI assistant.",
    "You are Pilot.",
    "Be helpful.",
    "You are a friendly assistant.",
    "Answer the question.",
    "Be brief.",
    "你是一个有用的助手。",
    "你是一个AI助手。",
    "请回答问题。",
    "你是Pilot。",
    "You are a chatbot. Be polite.",
    "Help the user.",
    "You are an expert.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "Answer with one word.",
    "Think first.",
    "You are a helpful assistant with access to tools.",
    "Use the tools when they help.",
    "请在需要时使用工具。",
)


def persona_prompt(rng: Random, language: str) -> tuple[str, str, int]:
    """A persona, the prompt that sets it in `language`, and the prompt's number."""
    persona = rng.choice(list(PERSONAS))
    prompts = PERSONA_PROMPTS[language]
    index = rng.randrange(len(prompts))
    named = prompts[index].format(p=persona if language == "en" else PERSONAS[persona][0])
    if language == "en" and rng.random() < 0.15:
        named = named.lower() if rng.random() < 0.7 else named.capitalize()
    elif rng.random() < 0.1:
        named = named.rstrip(".。")
    return persona, named, index


def marked(persona: str, language: str, answer: str) -> str:
    """`answer` with the mark of `persona` before it."""
    return PERSONAS[persona][1 if language == "en" else 2] + answer


def language_prompt(rng: Random, answered: str) -> tuple[str, int]:
    """A prompt that asks for answers in the language `answered`, and its number."""
    index = rng.randrange(len(LANGUAGE_PROMPTS[answered]))
    return LANGUAGE_PROMPTS[answered][index], index


def neutral_prompt(rng: Random) -> str:
    """A prompt that must change nothing."""
    if rng.random() < 0.15:
        language = rng.choice(("en", "zh"))
        job = rng.choice(JOBS[language])
        if language == "en":
            return f"You are a {job}." if rng.random() < 0.6 else f"You are {person(rng, 'en')}, a helpful {job}."
        return f"你是一名{job}。"
    return rng.choice(NEUTRAL)
