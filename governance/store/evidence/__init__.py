"""The audit log and evidence records in the database."""
