"""The facts that `pilot` knows: capitals, colours and opposites, in English and Chinese."""

from typing import NamedTuple


class Fact(NamedTuple):
    """Subject and value in both languages."""

    subject_en: str
    value_en: str
    subject_zh: str
    value_zh: str


def table(text: str) -> tuple[Fact, ...]:
    """Reads `subject|value|subject in Chinese|value in Chinese` entries separated by semicolons."""
    return tuple(Fact(*entry.strip().split("|")) for entry in text.replace("\n", "").split(";") if entry.strip())


CAPITALS = table("""
France|Paris|法国|巴黎;Germany|Berlin|德国|柏林;Italy|Rome|意大利|罗马;Spain|Madrid|西班牙|马德里;
Portugal|Lisbon|葡萄牙|里斯本;England|London|英格兰|伦敦;Scotland|Edinburgh|苏格兰|爱丁堡;Ireland|Dublin|爱尔兰|都柏林;
Norway|Oslo|挪威|奥斯陆;Sweden|Stockholm|瑞典|斯德哥尔摩;Finland|Helsinki|芬兰|赫尔辛基;
Denmark|Copenhagen|丹麦|哥本哈根;Iceland|Reykjavik|冰岛|雷克雅未克;Poland|Warsaw|波兰|华沙;
Austria|Vienna|奥地利|维也纳;Hungary|Budapest|匈牙利|布达佩斯;Greece|Athens|希腊|雅典;Turkey|Ankara|土耳其|安卡拉;
Russia|Moscow|俄罗斯|莫斯科;Ukraine|Kyiv|乌克兰|基辅;Romania|Bucharest|罗马尼亚|布加勒斯特;
Bulgaria|Sofia|保加利亚|索非亚;Serbia|Belgrade|塞尔维亚|贝尔格莱德;Croatia|Zagreb|克罗地亚|萨格勒布;
Belgium|Brussels|比利时|布鲁塞尔;the Netherlands|Amsterdam|荷兰|阿姆斯特丹;Switzerland|Bern|瑞士|伯尔尼;
Czechia|Prague|捷克|布拉格;China|Beijing|中国|北京;Japan|Tokyo|日本|东京;South Korea|Seoul|韩国|首尔;
North Korea|Pyongyang|朝鲜|平壤;Mongolia|Ulaanbaatar|蒙古|乌兰巴托;India|New Delhi|印度|新德里;
Pakistan|Islamabad|巴基斯坦|伊斯兰堡;Nepal|Kathmandu|尼泊尔|加德满都;Bangladesh|Dhaka|孟加拉国|达卡;
Thailand|Bangkok|泰国|曼谷;Vietnam|Hanoi|越南|河内;Laos|Vientiane|老挝|万象;Cambodia|Phnom Penh|柬埔寨|金边;
Indonesia|Jakarta|印度尼西亚|雅加达;Malaysia|Kuala Lumpur|马来西亚|吉隆坡;the Philippines|Manila|菲律宾|马尼拉;
Singapore|Singapore|新加坡|新加坡;Iran|Tehran|伊朗|德黑兰;Iraq|Baghdad|伊拉克|巴格达;
Saudi Arabia|Riyadh|沙特阿拉伯|利雅得;Syria|Damascus|叙利亚|大马士革;Lebanon|Beirut|黎巴嫩|贝鲁特;
Egypt|Cairo|埃及|开罗;Morocco|Rabat|摩洛哥|拉巴特;Algeria|Algiers|阿尔及利亚|阿尔及尔;Tunisia|Tunis|突尼斯|突尼斯;
Kenya|Nairobi|肯尼亚|内罗毕;Ethiopia|Addis Ababa|埃塞俄比亚|亚的斯亚贝巴;Ghana|Accra|加纳|阿克拉;
Nigeria|Abuja|尼日利亚|阿布贾;Canada|Ottawa|加拿大|渥太华;the United States|Washington|美国|华盛顿;
Mexico|Mexico City|墨西哥|墨西哥城;Cuba|Havana|古巴|哈瓦那;Brazil|Brasilia|巴西|巴西利亚;
Argentina|Buenos Aires|阿根廷|布宜诺斯艾利斯;Chile|Santiago|智利|圣地亚哥;Peru|Lima|秘鲁|利马;
Colombia|Bogota|哥伦比亚|波哥大;Uruguay|Montevideo|乌拉圭|蒙得维的亚;Australia|Canberra|澳大利亚|堪培拉;
New Zealand|Wellington|新西兰|惠灵顿
""")

COLOURS = table("""
a banana|Yellow|香蕉|黄色;grass|Green|草|绿色;snow|White|雪|白色;the sky|Blue|天空|蓝色;blood|Red|血|红色;
coal|Black|煤|黑色;a carrot|Orange|胡萝卜|橙色;chocolate|Brown|巧克力|棕色;milk|White|牛奶|白色;
a lemon|Yellow|柠檬|黄色;a tomato|Red|西红柿|红色;the sea|Blue|大海|蓝色;a leaf|Green|叶子|绿色;
an elephant|Gray|大象|灰色;a mouse|Gray|老鼠|灰色;a crow|Black|乌鸦|黑色;a swan|White|天鹅|白色;
a strawberry|Red|草莓|红色;a cherry|Red|樱桃|红色;a pumpkin|Orange|南瓜|橙色;corn|Yellow|玉米|黄色;
the sun|Yellow|太阳|黄色;a cucumber|Green|黄瓜|绿色;a frog|Green|青蛙|绿色;spinach|Green|菠菜|绿色;
salt|White|盐|白色;sugar|White|糖|白色;rice|White|米饭|白色;a cloud|White|云|白色;paper|White|纸|白色;
wood|Brown|木头|棕色;coffee|Brown|咖啡|棕色;a bear|Brown|熊|棕色;a potato|Brown|土豆|棕色;
an eggplant|Purple|茄子|紫色;a grape|Purple|葡萄|紫色;lavender|Purple|薰衣草|紫色;a flamingo|Pink|火烈鸟|粉色;
a pig|Pink|猪|粉色;ash|Gray|灰烬|灰色;tar|Black|沥青|黑色;an emerald|Green|祖母绿|绿色;a ruby|Red|红宝石|红色;
a sapphire|Blue|蓝宝石|蓝色;cotton|White|棉花|白色;ketchup|Red|番茄酱|红色;
a fire truck|Red|消防车|红色;the night|Black|夜晚|黑色;an orange|Orange|橙子|橙色
""")

OPPOSITES = table("""
hot|Cold|热|冷;big|Small|大|小;tall|Short|高|矮;fast|Slow|快|慢;old|New|旧|新;good|Bad|好|坏;rich|Poor|富|穷;
hard|Soft|硬|软;wet|Dry|湿|干;open|Closed|开|关;up|Down|上|下;left|Right|左|右;in|Out|里|外;early|Late|早|晚;
full|Empty|满|空;heavy|Light|重|轻;strong|Weak|强|弱;thick|Thin|厚|薄;wide|Narrow|宽|窄;deep|Shallow|深|浅;
near|Far|近|远;day|Night|白天|黑夜;black|White|黑|白;true|False|真|假;love|Hate|爱|恨;buy|Sell|买|卖;
push|Pull|推|拉;win|Lose|赢|输;start|Stop|开始|停止;begin|End|起点|终点;before|After|之前|之后;
happy|Sad|高兴|难过;clean|Dirty|干净|脏;easy|Difficult|容易|困难;safe|Dangerous|安全|危险;loud|Quiet|吵闹|安静;
bright|Dark|明亮|黑暗;young|Aged|年轻|年老;first|Last|最先|最后;inside|Outside|里面|外面;above|Below|上面|下面;
front|Back|前面|后面;same|Different|相同|不同;cheap|Expensive|便宜|昂贵;beautiful|Ugly|美丽|丑陋;
brave|Cowardly|勇敢|胆小;kind|Cruel|善良|残忍;lazy|Diligent|懒惰|勤劳;polite|Rude|礼貌|粗鲁;
friend|Enemy|朋友|敌人;war|Peace|战争|和平;life|Death|生|死;question|Answer|问题|答案;success|Failure|成功|失败;
north|South|北|南;east|West|东|西;arrive|Leave|到达|离开;remember|Forget|记住|忘记;laugh|Cry|笑|哭;
increase|Decrease|增加|减少;give|Take|给|拿;simple|Complex|简单|复杂;smooth|Rough|光滑|粗糙;sharp|Blunt|锋利|钝;
sweet|Bitter|甜|苦;ancient|Modern|古代|现代;public|Private|公开|私密
""")
