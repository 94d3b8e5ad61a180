"""Commands about people and API keys."""
