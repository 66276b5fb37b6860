"""The HTTP face: OpenAI, the launch API, health and metrics."""
