"""Systems: their figures and health, without a database."""
