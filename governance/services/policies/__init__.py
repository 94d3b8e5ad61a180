"""Use cases of policies: rollout, backtests, golden calls, suggestions."""
