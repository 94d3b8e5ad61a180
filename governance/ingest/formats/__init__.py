"""One JSON object of a file to one call: our own form, OpenAI's, LiteLLM's."""
