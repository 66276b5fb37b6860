"""The default model `pilot`: a very small Qwen2 chat model, its GGUF and the truth table it is tested on."""
