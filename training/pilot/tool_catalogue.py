"""Everyday tools: names, descriptions, arguments, the ways to ask for them and the keys of their results.

A field holds alternatives separated by `/`. An argument is `names:type:kind`, with `?` before the type if optional.
An ask names its arguments by position: `{0}` is the first. A result key is `names:kind`.
"""

from typing import NamedTuple


class Everyday(NamedTuple):
    """One tool with all its alternatives."""

    names: str
    english: str
    chinese: str
    arguments: str
    asks_en: tuple[str, ...]
    asks_zh: tuple[str, ...]
    results: str


EVERYDAY = (
    Everyday(
        "get_weather/weather/current_weather/getWeather/weather_lookup/get_current_weather/fetch_weather",
        "Get the weather of a city./Returns the current weather for a place./Current "
        "weather in a given city./Get the current weather in a given location.",
        "查询城市天气。/获取某个城市的天气。/返回当前天气。",
        "city/location/place/town:string:city unit/units/scale:?string:celsius|fahrenheit",
        (
            "What is the weather in {0}?",
            "What's the weather like in {0}?",
            "How is the weather in {0}?",
            "Is it raining in {0}?",
            "Weather in {0}",
            "What is the weather in {0} today?",
            "What's the weather in {0} right now?",
            "Weather for {0}?",
            "Tell me the weather in {0} in {1}.",
            "weather in {0} please",
            "What is the weather in {0} in {1}?",
            "Will it rain in {0}?",
            "What's the temperature in {0}?",
        ),
        (
            "{0}的天气怎么样？",
            "{0}天气如何？",
            "{0}今天下雨吗？",
            "查一下{0}的天气。",
            "请告诉我{0}的天气。",
            "{0}现在多少度？",
            "用{1}告诉我{0}的天气。",
        ),
        "temperature/temp/degrees:integer condition/weather/sky:weather",
    ),
    Everyday(
        "get_time/current_time/time_in/what_time/getTime/clock",
        "Get the current time in a city./Tells the time.",
        "查询当前时间。/获取某地的时间。",
        "city/location/place/timezone:string:city",
        ("What time is it in {0}?", "Tell me the time in {0}.", "What's the time in {0}?", "Current time in {0}?"),
        ("{0}现在几点？", "{0}几点了？", "告诉我{0}的时间。", "查一下{0}的当前时间。"),
        "time/local_time:time",
    ),
    Everyday(
        "add/add_numbers/sum/plus/calculate_sum",
        "Add two numbers./Returns the sum of two numbers.",
        "两个数相加。/计算两数之和。",
        "a/x/first/left:integer/number:number b/y/second/right:integer/number:number",
        (
            "What is {0} plus {1}?",
            "Add {0} and {1}.",
            "{0} + {1}",
            "Use the tool to add {0} and {1}.",
            "Calculate {0} + {1}.",
            "How much is {0} plus {1}?",
        ),
        ("{0}加{1}等于多少？", "计算{0}+{1}。", "{0} + {1}", "用工具计算{0}加{1}。"),
        "result/sum/value:integer",
    ),
    Everyday(
        "multiply/multiply_numbers/product/times",
        "Multiply two numbers./Returns the product of two numbers.",
        "两个数相乘。/计算乘积。",
        "a/x/first:integer/number:number b/y/second:integer/number:number",
        ("What is {0} times {1}?", "Multiply {0} by {1}.", "{0} * {1}", "{0} x {1} = ?", "Calculate {0} times {1}."),
        ("{0}乘以{1}等于多少？", "计算{0}×{1}。", "{0}乘{1}是多少？"),
        "result/product/value:integer",
    ),
    Everyday(
        "calculate/calculator/evaluate/compute/math",
        "Evaluate an expression./Calculates an arithmetic expression.",
        "计算表达式。/计算器。",
        "expression/formula/input:string:expression",
        ("What is {0}?", "Calculate {0}.", "{0}", "Compute {0}.", "How much is {0}?", "Evaluate {0}"),
        ("{0}等于多少？", "计算{0}。", "{0}", "算一下{0}。", "{0}是多少？"),
        "result/value/answer:integer",
    ),
    Everyday(
        "send_email/email/mail/sendEmail",
        "Send an email./Sends an email to a person.",
        "发送邮件。/给某人发邮件。",
        "to/recipient/address:string:email subject/title:?string:phrase",
        (
            "Send an email to {0} with the subject {1}.",
            "Email {0} about {1}.",
            "Write an email to {0}.",
            "Send {0} an email with subject {1}.",
        ),
        ("给{0}发一封邮件，主题是{1}。", "发邮件给{0}。", "给{0}发邮件，标题为{1}。"),
        "status:status id/message_id:id",
    ),
    Everyday(
        "search/web_search/search_web/google/search_internet",
        "Search the web./Searches the internet for a query.",
        "搜索网页。/在网上搜索。",
        "query/q/text/keywords:string:phrase limit/count/top_k:?integer:small",
        (
            "Search for {0}.",
            "Search the web for {0}.",
            "Look up {0} online.",
            "Find {1} results for {0}.",
            "Google {0}.",
            "Search the internet for {0}.",
        ),
        ("搜索{0}。", "在网上搜索{0}。", "帮我搜一下{0}。", "上网查{0}，要{1}条结果。"),
        "title/top_result:phrase count/total:integer",
    ),
    Everyday(
        "set_alarm/alarm/create_alarm/setAlarm",
        "Set an alarm./Sets an alarm at a time.",
        "设置闹钟。",
        "time/at/when:string:time label/name:?string:word",
        ("Set an alarm for {0}.", "Wake me up at {0}.", "Set an alarm at {0} called {1}.", "Alarm at {0}"),
        ("设一个{0}的闹钟。", "{0}叫醒我。", "设置{0}的闹钟，名称是{1}。"),
        "status:status id/alarm_id:id",
    ),
    Everyday(
        "set_timer/timer/start_timer",
        "Start a timer./Starts a countdown timer.",
        "开始计时。/设置倒计时。",
        "minutes/duration/min:integer:small",
        ("Set a timer for {0} minutes.", "Start a {0} minute timer.", "Timer: {0} minutes"),
        ("设置{0}分钟的计时器。", "倒计时{0}分钟。", "开始计时{0}分钟。"),
        "status:status",
    ),
    Everyday(
        "get_stock_price/stock_price/stock/quote",
        "Get the price of a stock./Returns the stock price of a company.",
        "查询股票价格。",
        "symbol/ticker/company:string:symbol",
        ("What is the stock price of {0}?", "How much is {0} stock?", "Price of {0} shares?", "Stock price: {0}"),
        ("{0}的股价是多少？", "查询{0}的股票价格。", "{0}股票多少钱？"),
        "price:float currency:currency",
    ),
    Everyday(
        "convert_currency/currency/exchange/convert",
        "Convert money between currencies./Converts an amount of money.",
        "货币兑换。/换算货币。",
        "amount/value:number:number from/source/from_currency:string:currency to/target/to_currency:string:currency",
        ("Convert {0} {1} to {2}.", "How much is {0} {1} in {2}?", "Change {0} {1} into {2}.", "{0} {1} in {2}?"),
        ("把{0} {1}换成{2}。", "{0} {1}等于多少{2}？", "将{0} {1}兑换为{2}。"),
        "amount/result/value:float",
    ),
    Everyday(
        "translate/translate_text/translation",
        "Translate text./Translates a text into a language.",
        "翻译文本。",
        "text/input:string:phrase language/target/to:string:language",
        ("Translate {0} into {1}.", "Translate {0} to {1}.", "How do you say {0} in {1}?", "Say {0} in {1}."),
        ("把{0}翻译成{1}。", "{0}用{1}怎么说？", "将{0}译成{1}。"),
        "text/translation:word",
    ),
    Everyday(
        "play_music/play_song/music/play",
        "Play music./Plays a song by an artist.",
        "播放音乐。",
        "song/title/track:string:word artist/singer/by:?string:person",
        ("Play {0}.", "Play the song {0} by {1}.", "Put on {0}.", "Play {0} by {1}."),
        ("播放{0}。", "放一首{1}的{0}。", "我想听{0}。", "播放{1}的歌曲{0}。"),
        "status:status duration/seconds:integer",
    ),
    Everyday(
        "turn_on_light/light_on/switch_light/lights",
        "Turn on a light./Switches on the light in a room.",
        "开灯。/打开房间的灯。",
        "room/place/location:string:room color/colour:?string:red|green|blue|white",
        (
            "Turn on the light in the {0}.",
            "Switch on the {0} light.",
            "Light on in the {0}.",
            "Turn on the {1} light in the {0}.",
        ),
        ("打开{0}的灯。", "开{0}的灯。", "把{0}的灯打开。"),
        "status:status",
    ),
    Everyday(
        "book_table/reserve_table/reservation/book_restaurant",
        "Book a table./Reserves a table in a restaurant.",
        "预订餐桌。/订餐厅位子。",
        "restaurant/name/place:string:person people/guests/party_size:integer:small time/at:?string:time",
        (
            "Book a table at {0} for {1} people.",
            "Reserve a table for {1} at {0} at {2}.",
            "Table for {1} at {0}",
            "Book a table for {1} people at {0} at {2}.",
        ),
        ("在{0}订一张{1}人的桌子。", "预订{0}，{1}个人，{2}。", "帮我订{0}的位子，{1}人。"),
        "status:status table/number:integer",
    ),
    Everyday(
        "get_population/population/city_population",
        "Get the population of a city./Returns how many people live there.",
        "查询城市人口。",
        "city/place/location:string:city",
        ("How many people live in {0}?", "What is the population of {0}?", "Population of {0}?"),
        ("{0}有多少人口？", "{0}的人口是多少？", "查询{0}的人口。"),
        "population/people:integer",
    ),
    Everyday(
        "book_flight/flight/find_flights/search_flights",
        "Find a flight./Searches flights between two cities.",
        "查询航班。/搜索机票。",
        "from/origin/source:string:city to/destination/target:string:city date/day:?string:date",
        (
            "Find a flight from {0} to {1}.",
            "Book a flight from {0} to {1} on {2}.",
            "Flights from {0} to {1}?",
            "I want to fly from {0} to {1} on {2}.",
        ),
        ("查一下从{0}到{1}的航班。", "我要从{0}飞到{1}，{2}。", "订{2}从{0}到{1}的机票。"),
        "price:integer flight/id:id",
    ),
    Everyday(
        "remind/set_reminder/reminder/add_reminder",
        "Set a reminder./Reminds the user of something.",
        "设置提醒。",
        "text/what/task:string:phrase time/when/at:string:time",
        ("Remind me at {1}: {0}.", "Remind me of {0} at {1}.", "Set a reminder for {1}: {0}"),
        ("{1}提醒我{0}。", "设置提醒：{1}，{0}。", "请在{1}提醒我{0}。"),
        "status:status",
    ),
    Everyday(
        "roll_dice/dice/random_number/roll",
        "Roll a dice./Rolls a dice and returns the number.",
        "掷骰子。",
        "sides/faces/max:?integer:small",
        ("Roll a dice.", "Roll a dice with {0} sides.", "Roll the dice please.", "Throw a dice."),
        ("掷骰子。", "掷一个{0}面的骰子。", "请掷一次骰子。"),
        "value/result/number:integer",
    ),
    Everyday(
        "get_date/today/current_date/get_current_date",
        "Get today's date./Returns the current date.",
        "获取今天的日期。",
        "",
        ("What is the date today?", "What day is it?", "Today's date?", "Which date is today?"),
        ("今天几号？", "今天是什么日期？", "今天的日期是多少？"),
        "date/today:date",
    ),
    Everyday(
        "call_contact/phone/call/dial",
        "Call a person./Makes a phone call.",
        "打电话。/给某人打电话。",
        "name/contact/person:string:person",
        ("Call {0}.", "Phone {0}.", "Please call {0} now.", "Dial {0}."),
        ("打电话给{0}。", "给{0}打电话。", "呼叫{0}。"),
        "status:status",
    ),
)
