-- Search over keyed tokens of redacted text. Migration 0010.

TRUNCATE search_text;
