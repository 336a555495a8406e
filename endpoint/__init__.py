"""Asking a model behind an OpenAI-compatible endpoint: bounded in time, money and surprise."""
