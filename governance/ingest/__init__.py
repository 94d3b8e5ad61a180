"""Wire formats to domain types: pure functions, no database, no clock but the caller's."""
