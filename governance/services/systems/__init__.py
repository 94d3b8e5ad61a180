"""Use cases of systems."""
