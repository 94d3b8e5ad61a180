"""Verifies the log of a database that is not this installation's: no settings, no secret keys, nothing written."""

from __future__ import annotations

from governance.audit.note import Checkpoint, Verifier
from governance.audit.verify import Advance, Verification
from governance.errors import BadInput, GovernanceError


def verify_database(url: str, key: str, *, kept: str, advance: Advance) -> Verification:
    """`key` is the log's public key, and `kept` a signed checkpoint that was kept elsewhere, or "". Raises `BadInput`
    when the database cannot be read, or either is not of that log."""
    from governance.services.evidence.findings import open_kept
    from governance.services.evidence.verify import verify_snapshot, with_state
    from governance.store.evidence import outside

    with outside.snapshot(url) as snapshot:
        head = snapshot.head
        name = "log"
        try:
            if head is not None:
                name = Checkpoint.parse(head.checkpoint.rpartition("\n\n")[0] + "\n").origin
        except GovernanceError:
            pass  # which the verification says
        verifier = Verifier.parse(key, name=name)
        if kept and open_kept(kept, verifier).size == 0:
            raise BadInput("The checkpoint that you gave is of 0 events, and proves nothing.")
        return with_state(snapshot, verify_snapshot(snapshot, verifier, kept=kept, advance=advance))
