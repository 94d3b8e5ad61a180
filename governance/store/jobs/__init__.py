"""Work that waits in the database: the queue of calls to check, jobs of every other kind, and who is working."""
