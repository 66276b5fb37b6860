"""Which architectures each engine implements, as data. Names are the classes of config.json; GGUF has names of its own.

Sources: the model lists of vLLM 0.33, SGLang 0.5.23 and Transformers 5.23, kept to what Slipway can ask of them without
running a repository's code; llama.cpp's are the decoders named in the pinned xllamacpp build.
"""

QWEN2_VL = "Qwen2VLForConditionalGeneration"
INTERNVL = "InternVLChatModel"
VISION = frozenset({QWEN2_VL, "Qwen2_5_VLForConditionalGeneration", INTERNVL, "InternVLForConditionalGeneration"})

_DECODERS = frozenset(
    {
        "CohereForCausalLM",
        "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM",
        "FalconForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "GemmaForCausalLM",
        "Glm4ForCausalLM",
        "GlmForCausalLM",
        "GptOssForCausalLM",
        "GraniteForCausalLM",
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "OlmoForCausalLM",
        "Olmo2ForCausalLM",
        "Phi3ForCausalLM",
        "PhiForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen2MoeForCausalLM",
        "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM",
        "StableLmForCausalLM",
        "Starcoder2ForCausalLM",
    }
)
VLLM = _DECODERS | VISION
SGLANG = (_DECODERS | VISION) - {"FalconForCausalLM", "GlmForCausalLM", "InternVLForConditionalGeneration"}
TRANSFORMERS = _DECODERS | VISION

# GGUF architectures that vLLM's GGUF plugin maps to its own classes.
VLLM_GGUF = frozenset(
    {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen2MoeForCausalLM", "Qwen3ForCausalLM"}
)

_GGUF_DECODERS = """
afmoe apertus arcee arctic arwkv7 baichuan bailingmoe bailingmoe2 bitnet bloom chameleon chatglm codeshell
cogvlm cohere2 cohere2moe command-r dbrx deci deepseek deepseek2 deepseek32 dots1 ernie4_5 ernie4_5-moe exaone
exaone-moe exaone4 falcon falcon-h1 gemma gemma2 gemma3 gemma3n gemma4 glm4 glm4moe gpt-oss gpt2 gptj gptneox
granite granitehybrid granitemoe grok grovemoe hunyuan-dense hunyuan-moe internlm2 jais jamba kimi-linear lfm2
lfm2moe llama llama4 maincoder mamba mamba2 mimo2 minicpm minicpm3 minimax-m2 mistral3 mistral4 mpt nemotron
nemotron_h nemotron_h_moe olmo olmo2 olmoe openelm orion pangu-embedded phi2 phi3 phimoe plamo plamo2 plamo3 plm
qwen qwen2 qwen2moe qwen3 qwen35 qwen35moe qwen3moe qwen3next refact rnd1 rwkv6 rwkv6qwen2 rwkv7 seed_oss
smallthinker smollm3 stablelm starcoder starcoder2 step35 xverse
"""
# Classes whose GGUF architecture is not the class's own name.
_GGUF_ALIASES = {
    "chatglmmodel": "chatglm",
    "cohere": "command-r",
    "deepseekv2": "deepseek2",
    "deepseekv3": "deepseek2",
    "glm": "chatglm",
    "gpt2lmhead": "gpt2",
    "mistral": "llama",
    "mixtral": "llama",
    "phi": "phi2",
    "qwenlmhead": "qwen",
}
_SUFFIXES = ("forcausallm", "forconditionalgeneration", "model")


def llama_cpp_has(name: str) -> bool:
    """Whether llama.cpp implements an architecture, given by its class or by its GGUF name."""
    plain = _plain(name)
    for suffix in _SUFFIXES:
        plain = plain.removesuffix(suffix)
    known = {_plain(each) for each in _GGUF_DECODERS.split()}
    return _plain(_GGUF_ALIASES.get(plain, plain)) in known


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
