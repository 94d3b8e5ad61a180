"""What the pages show and do about cases."""
