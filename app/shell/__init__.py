"""What every page stands on: who is at it, words, long work."""
