"""Use cases of people: accounts, sessions, API keys."""
