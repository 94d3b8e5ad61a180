"""The governed systems and their figures in the database."""
