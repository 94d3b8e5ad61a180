"""Controls of outside frameworks: which policies are mapped to them, and what their tests, hits and verdicts say."""
