"""Use cases of human review: cases and reports."""
