"""Calls, their content, examinations and decisions in the database."""
