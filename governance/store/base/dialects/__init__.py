"""What SQLite and PostgreSQL need said differently about connections."""
