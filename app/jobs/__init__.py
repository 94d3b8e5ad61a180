"""What the pages show of background jobs."""
