"""Calls over HTTP: OTLP, checks, and reading."""
