"""Use cases of calls: record, check, decide, explain, reveal."""
