"""People, their roles and how they sign in, for the console's pages."""
