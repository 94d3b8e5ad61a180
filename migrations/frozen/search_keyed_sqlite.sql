-- Search over keyed tokens of redacted text; a message is taken out by its number alone. Migration 0014.

DROP TABLE search_text;

CREATE VIRTUAL TABLE search_text USING fts5(words, detail=none, columnsize=0, tokenize='ascii');
