"""What the pages show and do about policies."""
