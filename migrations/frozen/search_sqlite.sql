-- Full-text search over redacted text. Migration 0001.

CREATE VIRTUAL TABLE search_text USING fts5(words, content='', detail=none, columnsize=0);
