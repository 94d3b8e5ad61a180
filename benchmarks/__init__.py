"""Measurements, not tests: `make bench` prints them beside what the machine itself can do."""
