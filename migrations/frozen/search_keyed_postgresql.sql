-- Search over keyed tokens of redacted text. Migration 0014.

TRUNCATE search_text;
