"""What Overview shows: figures of all wings, read together."""
