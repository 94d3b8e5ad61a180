"""What the pages show of the audit trail."""
