"""Child processes: start one, end it within a time, say why it ended, and start it again after a pause."""
