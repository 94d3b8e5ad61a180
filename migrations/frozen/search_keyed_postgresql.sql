-- Search over keyed tokens of redacted text. Migration 0013.

TRUNCATE search_text;
