"""Commands about policies and detectors."""
