"""`grounding`: compares the claims of an answer with what was retrieved for it: supported, contradicted, not in
context.

`claims` and `sources` hold the two sides, `figures` and `passages` read them; `quantities`, `quotations`, `citations`,
`names` and `statements` judge one kind of claim each.
"""

from governance.detectors.grounding.detector import KIND

__all__ = ["KIND"]
