"""`patterns`: finds phrases, identifiers and secrets with rule packs in RE2.

`detector` runs the rules over a text and its views. `views` decodes and normalises text and maps places back to the
original. `packs` holds the rules; `validators` and `identifiers` check what a rule's regex matched, `columns` reads
tables. `recognisers` turns the identifiers that a policy declares into rules. `shingles` measures how much of one text
another repeats.
"""

from governance.detectors.patterns.detector import CODE_VERSION, KIND, NAME, PatternDetector

__all__ = ["CODE_VERSION", "KIND", "NAME", "PatternDetector"]
