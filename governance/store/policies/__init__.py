"""Policy sets, backtests and recorded traffic in the database."""
