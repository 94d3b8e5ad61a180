"""Use cases of evidence: export and verification."""
