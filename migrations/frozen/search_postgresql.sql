-- Full-text search over redacted text. Migration 0001.

CREATE TABLE search_text (message_id BIGINT PRIMARY KEY, words TSVECTOR NOT NULL);

CREATE INDEX ix_search_text_words ON search_text USING gin (words);
