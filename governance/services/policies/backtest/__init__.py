"""A policy set tried on recorded traffic."""
