"""Where weights come from: Hugging Face, ModelScope, local paths."""
