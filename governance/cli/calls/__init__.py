"""Commands about calls."""
