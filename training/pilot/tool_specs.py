"""Draws tools: everyday ones from the catalogue, and ones composed of a verb, an object and arguments."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from training.pilot import words
from training.pilot.tool_catalogue import EVERYDAY, Everyday
from training.pilot.words import words_of

VERBS = words_of(
    "create|创建 delete|删除 find|查找 update|更新 list|列出 "
    "open|打开 close|关闭 start|启动 stop|停止 send|发送 count|统计 "
    "check|检查 save|保存 print|打印 move|移动 copy|复制 share|分享 "
    "lock|锁定 cancel|取消 order|订购 buy|购买 sell|出售 "
    "clean|清理 rename|重命名 scan|扫描 rent|租用 wash|清洗 get|获取 read|读取 add|添加 remove|移除 paint|粉刷"
)
OBJECTS = words_of(
    "order|订单 invoice|发票 user|用户 ticket|工单 file|文件 folder|文件夹 "
    "report|报告 meeting|会议 task|任务 note|笔记 event|活动 "
    "photo|照片 room|房间 printer|打印机 door|门 account|账户 message|消息 payment|付款 package|包裹 project|项目 "
    "product|产品 customer|客户 server|服务器 table|表格 playlist|歌单 "
    "robot|机器人 car|汽车 bill|账单 contract|合同 lamp|台灯 "
    "machine|机器 garden|花园 window|窗户 camera|相机 database|数据库 bike|自行车"
)
ARGUMENTS = words_of(
    "name|名称:string:word id|编号:string:id size|大小:integer:number "
    "count|数量:integer:small color|颜色:string:colour "
    "city|城市:string:city date|日期:string:date time|时间:string:time "
    "price|价格:number:number owner|所有者:string:person "
    "level|级别:integer:small mode|模式:string:fast|slow|auto urgent|紧急:boolean:flag title|标题:string:word "
    "weight|重量:number:number status|状态:string:open|closed|pending "
    "user|用户:string:person enabled|启用:boolean:flag "
    "language|语言:string:language amount|金额:number:number room|房间:string:room type|类型:string:small|medium|large"
)
ASKS = {
    "en": (
        "{verb} the {object}{rest}.",
        "Please {verb} the {object}{rest}.",
        "{verb} a {object}{rest}.",
        "I want to {verb} a {object}{rest}.",
        "Can you {verb} the {object}{rest}?",
        "{verb} {object}{rest}",
    ),
    "zh": (
        "{verb}{object}{rest}。",
        "请{verb}{object}{rest}。",
        "帮我{verb}{object}{rest}。",
        "我要{verb}{object}{rest}。",
        "{verb}一个{object}{rest}。",
    ),
}
JOINTS = {
    "en": (
        " with {name} {value}",
        ", {name} {value}",
        " with {name} set to {value}",
        " with {name} {value}",
        ", {name}: {value}",
    ),
    "zh": ("，{name}为{value}", "，{name}是{value}", "，{name}：{value}", "，{name}{value}"),
}

NATURAL = {
    "name": " called {value}",
    "title": " named {value}",
    "city": " in {value}",
    "date": " on {value}",
    "time": " at {value}",
    "owner": " for {value}",
    "user": " for {value}",
    "id": " {value}",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """A tool's argument: its JSON type, what kind of value it takes, and its Chinese label."""

    name: str
    type: str
    kind: str
    required: bool
    label: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as drawn, and how to ask for it: templates naming arguments by position, per language."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    asks: dict[str, tuple[str, ...]]
    results: tuple[tuple[str, str], ...]
    everyday: bool

    @property
    def is_arithmetic(self) -> bool:
        """True for the tools that may all serve one sum."""
        ways = self.asks["en"]
        return "{0} + {1}" in ways or "{0} * {1}" in ways or any(a.kind == "expression" for a in self.arguments)

    def as_openai(self) -> dict[str, Any]:
        """The tool in the form of a chat completion's `tools`."""
        properties = {a.name: json_type(a) for a in self.arguments}
        required = [a.name for a in self.arguments if a.required]
        parameters = {"type": "object", "properties": properties, "required": required}
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


def json_type(argument: Argument) -> dict[str, Any]:
    """The JSON schema of one argument."""
    return (
        {"type": argument.type, "enum": argument.kind.split("|")} if "|" in argument.kind else {"type": argument.type}
    )


def text_value(kind: str, rng: Random, language: str) -> str:
    """A string of `kind`."""
    dates = f"{rng.randint(2020, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    makers: dict[str, Callable[[], str]] = {
        "city": lambda: words.city(rng, language),
        "person": lambda: words.person(rng, language),
        "word": lambda: words.word(rng, language),
        "phrase": lambda: (" " if language == "en" else "").join(
            words.word(rng, language) for _ in range(rng.choice((1, 2)))
        ),
        "expression": lambda: rng.choice((" ", " ", "")).join(
            (str(rng.randint(1, 999)), rng.choice("+-*/"), str(rng.randint(1, 99)))
        ),
        "id": lambda: rng.choice("ABCDEFGHKMPRSTXZ") + str(rng.randint(1, 999)),
        "date": lambda: dates,
        "time": lambda: f"{rng.randint(0, 23)}:{rng.randint(0, 59):02}",
        "email": lambda: f"{words.person(rng, 'en').lower()}@{rng.choice(('example.com', 'mail.com', 'test.org'))}",
        "symbol": lambda: "".join(rng.choice("ABCDEFGHIKLMNOPRSTVX") for _ in range(rng.choice((3, 4)))),
        "currency": lambda: rng.choice(("USD", "EUR", "CNY", "JPY", "GBP", "INR", "KRW")),
        "language": lambda: rng.choice(
            ("French", "German", "Spanish", "Italian", "Chinese", "Japanese")
            if language == "en"
            else ("法语", "德语", "英语", "日语")
        ),
        "room": lambda: rng.choice(
            ("kitchen", "bedroom", "bathroom", "office", "garage", "hall")
            if language == "en"
            else ("厨房", "卧室", "客厅", "办公室", "浴室")
        ),
        "colour": lambda: rng.choice(words.COLOURS[language]),
        "weather": lambda: rng.choice(
            ("sunny", "rainy", "cloudy", "windy", "snowy", "foggy")
            if language == "en"
            else ("晴", "雨", "多云", "大风", "雪")
        ),
        "status": lambda: rng.choice(("ok", "sent", "done", "created", "open", "closed", "failed", "active")),
    }
    return makers[kind]()


def value_of(kind: str, rng: Random, language: str, whole: bool = True) -> Any:
    """A value of `kind`: text, a number or a truth value."""
    if "|" in kind:
        return rng.choice(kind.split("|"))
    if kind == "flag":
        return rng.random() < 0.5
    if kind == "small":
        return rng.randint(1, 20)
    if kind == "integer":
        return rng.randint(0, rng.choice((9, 40, 99, 999, 9999)))
    if kind == "float" or (kind == "number" and not whole and rng.random() < 0.4):
        return rng.randint(1, 999) + rng.choice((0.5, 0.25, 0.1, 0.9, 0.75))
    if kind == "number":
        return rng.randint(0, rng.choice((20, 99, 999)))
    return text_value(kind, rng, language)


def pick(rng: Random, alternatives: str) -> str:
    """One of the alternatives, the first oftener."""
    options = alternatives.split("/")
    return options[0] if rng.random() < 0.25 else rng.choice(options)


def everyday_tool(rng: Random, described: str) -> Tool:
    """A tool of the catalogue, described in the language `described`."""
    entry: Everyday = rng.choice(EVERYDAY)
    arguments = []
    for spec in entry.arguments.split():
        names, type_, kind = spec.split(":")
        arguments.append(Argument(pick(rng, names), pick(rng, type_.lstrip("?")), kind, not type_.startswith("?")))
    results = tuple((pick(rng, spec.split(":")[0]), spec.split(":")[1]) for spec in entry.results.split())
    description = pick(rng, entry.english if described == "en" else entry.chinese)
    asks = {"en": entry.asks_en, "zh": entry.asks_zh}
    return Tool(pick(rng, entry.names), description, tuple(arguments), asks, results, True)


def tool_name(rng: Random, verb: str, thing: str) -> str:
    """A function name of a verb and an object, in one of the usual spellings."""
    spelling = rng.choice(("{v}_{o}", "{v}_{o}", "{v}{O}", "{o}_{v}", "{v}-{o}"))
    return spelling.format(v=verb, o=thing, O=thing.capitalize())


def composed_tool(rng: Random, described: str, verb: str | None = None, thing: str | None = None) -> Tool:
    """A tool of a verb and an object with up to three arguments; the object may be a made-up word."""
    verb = verb or rng.choice(VERBS)
    if thing is None:
        invented = words.made_up_word(rng)
        thing = f"{invented}|{invented}" if rng.random() < 0.25 else rng.choice(OBJECTS)
    (verb_en, verb_zh), (thing_en, thing_zh) = verb.split("|"), thing.split("|")
    arguments = []
    for spec in rng.sample(ARGUMENTS, rng.choice((0, 1, 1, 2, 2, 3))):
        names, type_, kind = spec.split(":")
        name, label = names.split("|")
        if kind == "id" and rng.random() < 0.5 and thing_en.isalpha():
            name, label = f"{thing_en}_id", f"{thing_zh}编号"
        elif rng.random() < 0.15:
            name = label = words.made_up_word(rng)
        arguments.append(Argument(name, type_, kind, rng.random() < 0.7, label))
    styles = ("{V} a {o}.", "{V} the {o}.", "{V} {o}s.") if described == "en" else ("{v}{o}。", "{v}一个{o}。")
    v, o = (verb_en, thing_en) if described == "en" else (verb_zh, thing_zh)
    description = rng.choice(styles).format(V=v.capitalize(), v=v, o=o)
    asks = {
        "en": tuple(ask.replace("{verb}", verb_en).replace("{object}", thing_en) for ask in ASKS["en"]),
        "zh": tuple(ask.replace("{verb}", verb_zh).replace("{object}", thing_zh) for ask in ASKS["zh"]),
    }
    keys = rng.sample(
        ("status", "id", "count", "name", "price", "owner", "total", "result", "date", "time"), rng.choice((1, 2, 2, 3))
    )
    kinds = {"status": "status", "id": "id", "name": "word", "owner": "person", "date": "date", "time": "time"}
    results = tuple((key, kinds.get(key, "integer")) for key in keys)
    return Tool(tool_name(rng, verb_en, thing_en), description, tuple(arguments), asks, results, False)


def as_written(value: object) -> str:
    """A value as a user writes it."""
    return json.dumps(value) if isinstance(value, bool) else str(value)
