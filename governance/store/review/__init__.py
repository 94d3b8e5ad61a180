"""Cases, verdicts and reports in the database."""
