"""Words, names and made-up words that the generators put into their questions."""

from random import Random


def words_of(text: str) -> list[str]:
    """The words of a text that spaces separate."""
    return text.split()


NOUNS_EN = words_of(
    "apple river stone cloud house tree bird fish dog cat horse cow sheep lion tiger wolf fox bear mouse snake frog "
    "table chair lamp book pen cup plate spoon fork knife bed door window wall roof road bridge car bus train ship "
    "plane bike ball doll drum piano guitar flute song dance sun moon star sky rain snow wind fire water ice sand "
    "hill lake sea island forest garden flower leaf root seed bread cheese butter egg milk tea coffee sugar salt "
    "pepper rice corn bean carrot potato tomato onion lemon orange banana grape cherry pear peach plum melon shirt "
    "coat hat shoe sock glove ring watch clock phone radio camera paper letter box bag key lock rope wire nail "
    "hammer wheel engine king queen farmer doctor teacher baker pilot sailor silver gold iron copper glass wood"
)
ADJECTIVES_EN = words_of("red blue green black white small big old new fast slow warm cold soft hard quiet bright dark")
NOUNS_ZH = words_of(
    "苹果 香蕉 河流 石头 白云 房子 大树 小鸟 鱼 狗 猫 马 牛 羊 狮子 "
    "老虎 狼 狐狸 熊 老鼠 蛇 青蛙 桌子 椅子 台灯 书 钢笔 杯子 盘子 "
    "勺子 叉子 刀 床 门 窗户 墙 屋顶 马路 桥 汽车 火车 轮船 飞机 自行车 "
    "球 鼓 钢琴 吉他 歌 太阳 月亮 星星 天空 雨 雪 风 火 水 冰 沙子 "
    "山 湖 海 岛 森林 花园 花 叶子 种子 面包 奶酪 鸡蛋 牛奶 茶 咖啡 糖 "
    "盐 米饭 玉米 豆子 萝卜 土豆 番茄 洋葱 柠檬 橙子 葡萄 樱桃 梨 桃子 "
    "西瓜 衬衫 外套 帽子 鞋 袜子 手套 手表 时钟 电话 相机 纸 信 箱子 "
    "钥匙 绳子 锤子 轮子 国王 农民 医生 老师 水手 金子 银子 玻璃 木头"
)
COLOURS = {
    "en": words_of("red blue green yellow black white purple pink orange brown gray gold silver"),
    "zh": words_of("红色 蓝色 绿色 黄色 黑色 白色 紫色 粉色 橙色 棕色 灰色 金色 银色"),
}
ANIMALS = {
    "en": words_of("cat dog horse tiger lion panda rabbit wolf fox bear eagle owl dolphin whale turtle penguin monkey"),
    "zh": words_of("猫 狗 马 老虎 狮子 熊猫 兔子 狼 狐狸 熊 老鹰 猫头鹰 海豚 鲸鱼 乌龟 企鹅 猴子"),
}
CITIES = {
    "en": words_of(
        "Paris Berlin Rome Madrid London Oslo Vienna Prague Tokyo Seoul Cairo Lima Boston Sydney Dublin Moscow "
        "Chicago Beijing Shanghai Delhi Milan Lyon Porto Geneva Toronto"
    ),
    "zh": words_of(
        "巴黎 柏林 罗马 马德里 伦敦 奥斯陆 维也纳 布拉格 东京 首尔 开罗 "
        "利马 波士顿 悉尼 莫斯科 芝加哥 北京 上海 广州 深圳 成都 南京 西安 "
        "杭州 武汉 重庆 天津"
    ),
}
NAMES_EN = words_of(
    "Tom Anna John Mary Peter Alice Bob Carol David Emma Frank Grace Henry Iris Jack Kate Leo Mia Noah Olivia Paul "
    "Rose Sam Tina Victor Wendy Max Lucy Ben Clara Eric Nina Oscar Julia Adam Sara Mark Laura Simon Ella"
)
SURNAMES_ZH = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN_ZH = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国文斌宇浩然子轩雨欣晨思佳琪梦洁天佑小龙志鹏飞"
FOODS = {
    "en": words_of("pizza bread rice soup cheese noodles salad cake fish pasta apples chocolate"),
    "zh": words_of("披萨 面包 米饭 汤 奶酪 面条 沙拉 蛋糕 鱼 饺子 苹果 巧克力"),
}
JOBS = {
    "en": words_of("teacher doctor farmer baker pilot sailor nurse cook driver singer painter writer"),
    "zh": words_of("老师 医生 农民 面包师 飞行员 水手 护士 厨师 司机 歌手 画家 作家"),
}
UNKNOWN_COUNTRIES = (
    ("Zambia", "赞比亚"),
    ("Paraguay", "巴拉圭"),
    ("Bolivia", "玻利维亚"),
    ("Ecuador", "厄瓜多尔"),
    ("Oman", "阿曼"),
    ("Yemen", "也门"),
    ("Qatar", "卡塔尔"),
    ("Jordan", "约旦"),
    ("Sudan", "苏丹"),
    ("Libya", "利比亚"),
    ("Mali", "马里"),
    ("Niger", "尼日尔"),
    ("Chad", "乍得"),
    ("Angola", "安哥拉"),
    ("Namibia", "纳米比亚"),
    ("Uganda", "乌干达"),
    ("Rwanda", "卢旺达"),
    ("Albania", "阿尔巴尼亚"),
    ("Latvia", "拉脱维亚"),
    ("Estonia", "爱沙尼亚"),
    ("Malta", "马耳他"),
    ("Cyprus", "塞浦路斯"),
    ("Georgia", "格鲁吉亚"),
    ("Armenia", "亚美尼亚"),
    ("Bhutan", "不丹"),
    ("Fiji", "斐济"),
    ("Panama", "巴拿马"),
    ("Honduras", "洪都拉斯"),
    ("Jamaica", "牙买加"),
    ("Senegal", "塞内加尔"),
)
STARTS = words_of("b c d f g h j k l m n p r s t v w z br cl dr fl gr kr pl sk st tr th sh")
MIDDLES = words_of("a e i o u a e i o u ai ee oo ou")
ENDS = ["", "", "", "", "", "", "n", "r", "l", "s", "t", "k", "x", "m", "nd", "rk", "lt", "p", "b", "g"]
SOUNDS_ZH = "巴比卡达德迪多法菲戈哈赫卡克科拉兰莱里林卢洛玛米莫纳尼诺帕佩普拉雷萨塞斯塔特托维沃西亚伊尤扎佐奥贝波布"


def made_up_word(rng: Random) -> str:
    """A word of two or three syllables that means nothing."""
    count = rng.choice((2, 2, 2, 3))
    return "".join(rng.choice(STARTS) + rng.choice(MIDDLES) + rng.choice(ENDS) for _ in range(count))


def made_up_word_zh(rng: Random) -> str:
    """Two to four Chinese characters that only carry sounds."""
    return "".join(rng.choice(SOUNDS_ZH) for _ in range(rng.randint(2, 4)))


def person(rng: Random, language: str) -> str:
    """A name: often a usual one, often made up."""
    if language == "zh":
        dice = rng.random()
        if dice < 0.6:
            return rng.choice(SURNAMES_ZH) + "".join(rng.choice(GIVEN_ZH) for _ in range(rng.choice((1, 2, 2))))
        if dice < 0.8:
            return made_up_word_zh(rng)
        return person(rng, "en")
    return rng.choice(NAMES_EN) if rng.random() < 0.4 else made_up_word(rng).capitalize()


def city(rng: Random, language: str) -> str:
    """A city, one in four made up."""
    if rng.random() < 0.25:
        return made_up_word(rng).capitalize() if language == "en" else made_up_word_zh(rng)
    return rng.choice(CITIES[language])


def word(rng: Random, language: str) -> str:
    """A noun, now and then made up."""
    if rng.random() < 0.2:
        return made_up_word(rng) if language == "en" else made_up_word_zh(rng)
    return rng.choice(NOUNS_EN if language == "en" else NOUNS_ZH)
