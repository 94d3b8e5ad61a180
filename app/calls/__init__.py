"""What the pages show of calls."""
