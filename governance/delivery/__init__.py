"""How messages leave the installation."""
