-- Search over keyed tokens of redacted text. Migration 0012.

TRUNCATE search_text;
