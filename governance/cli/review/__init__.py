"""Commands about human review."""
