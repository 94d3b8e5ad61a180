"""People, sessions and API keys in the database."""
