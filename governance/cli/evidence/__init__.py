"""Commands about the audit log and evidence."""
