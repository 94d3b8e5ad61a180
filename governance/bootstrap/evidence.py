"""Evidence: the audit log, its verification, and packages."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from governance.bootstrap.calls import CallParts
from governance.bootstrap.jobs import JobParts

if TYPE_CHECKING:
    from governance.services.evidence.access import AccessReviewService
    from governance.services.evidence.copies import CopyCheckpoints
    from governance.services.evidence.erase import EraseService
    from governance.services.evidence.export import ExportEvidence
    from governance.services.evidence.findings import FindingService
    from governance.services.evidence.hold import HoldService
    from governance.services.evidence.ports import KeepCopy
    from governance.services.evidence.read import ReadAudit
    from governance.services.evidence.retain import RetentionService
    from governance.services.evidence.rotate import RotateKeys
    from governance.services.evidence.subject import ExportSubject
    from governance.services.evidence.verify import VerifyLog
    from governance.store.base.wal import Checkpointer
    from governance.store.calls.sealing import Sealing
    from governance.store.evidence.audit_log import PostgresSealer
    from governance.store.evidence.queries import AuditReader


class EvidenceParts(CallParts, JobParts):
    """The use cases of evidence. Packages carry calls as readers see them."""

    @cached_property
    def audit_log(self) -> AuditReader:
        """Snapshots of the log, for verification, export and display."""
        from governance.store.evidence.audit_log import SqlAuditLog
        from governance.store.evidence.queries import AuditReader

        writer = self.database.audit
        assert isinstance(writer, SqlAuditLog)
        return AuditReader(self.engine, writer, lambda: self.key_ring)

    @property
    def unkeyed_audit_log(self) -> AuditReader:
        """The log as `audit_log`, also where the keys at hand do not fit it: so that it can be said why."""
        from governance.store.evidence.audit_log import SqlAuditLog
        from governance.store.evidence.queries import AuditReader

        return AuditReader(self.engine, SqlAuditLog(self.signer, self.clock))

    @cached_property
    def read_audit(self) -> ReadAudit:
        from governance.services.evidence.read import ReadAudit
        from governance.store.evidence.queries import AuditQueries

        return ReadAudit(self.visible, AuditQueries(self.database), self.clock, self.access_log)

    @cached_property
    def sealer(self) -> PostgresSealer:
        """Seals what PostgreSQL's transactions have committed; does nothing on SQLite. `serve` starts it."""
        from governance.store.evidence.audit_log import PostgresSealer

        _ = self.database
        return PostgresSealer(self.engine, self.signer, self.clock)

    @cached_property
    def checkpointer(self) -> Checkpointer:
        """Keeps SQLite's write-ahead log short; does nothing on PostgreSQL. `serve` starts it."""
        from governance.store.base.wal import Checkpointer

        return Checkpointer(self.engine)

    @cached_property
    def export(self) -> ExportEvidence:
        from governance.services.evidence.export import ExportEvidence
        from governance.store.evidence.records import Records

        return ExportEvidence(self.authority, self.audit_log, Records(self.engine, self.texts, self.attributes))

    @cached_property
    def erase(self) -> EraseService:
        """Asks for erasures, approves them, carries them out."""
        from governance.services.evidence.erase import EraseService
        from governance.store.base.purge import purge

        return EraseService(
            self.authority,
            redact=self.redact_text,
            digest=self.key_ring.digest,
            purge=lambda any_size: purge(self.engine, any_size=any_size),
        )

    @cached_property
    def hold(self) -> HoldService:
        from governance.services.evidence.hold import HoldService

        return HoldService(self.authority, self.erase, redact=self.redact_text)

    @cached_property
    def retention(self) -> RetentionService:
        from governance.services.evidence.retain import RetentionService

        return RetentionService(self.authority, self.erase)

    @cached_property
    def rotate_keys(self) -> RotateKeys:
        from governance.services.evidence.rotate import RotateKeys
        from governance.store.evidence.rotation import Rotation

        rotation = Rotation(self.database, self.key_ring)
        return RotateKeys(self.authority, rotation, rotating=lambda: self.key_ring.rotating)

    @property
    def old_key_file(self) -> Path:
        """Where the key-encryption key before a rotation is kept."""
        return self.data_dir / "key-encryption.old.key"

    def make_new_key(self) -> None:
        """Makes a new key-encryption key where it is a file, unless a rotation has made one already."""
        from governance.privacy.keys import replace_secret

        if self.settings.key_encryption_key.get_secret_value():
            return
        _ = self.database  # the key that is there fits, or nothing is begun
        replace_secret(self.data_dir / "key-encryption.key", self.old_key_file)
        for name in ("key_ring", "rotate_keys", "database", "authority", "texts"):
            self.__dict__.pop(name, None)

    @cached_property
    def export_subject(self) -> ExportSubject:
        from governance.services.evidence.subject import ExportSubject
        from governance.store.evidence.subjects import SqlSubjects

        return ExportSubject(self.authority, SqlSubjects(self.database, self.key_ring))

    @cached_property
    def sealing(self) -> Sealing:
        """Seals what an earlier version kept in clear."""
        from governance.store.calls.sealing import Sealing

        return Sealing(self.database, self.key_ring, self.texts)

    @cached_property
    def verify(self) -> VerifyLog:
        from governance.services.evidence.verify import VerifyLog

        return VerifyLog(self.authority, self.audit_log, self.alerts)

    @cached_property
    def checkpoint_copies(self) -> CopyCheckpoints:
        """Copies of checkpoints outside this installation, in the places that the settings name."""
        from governance.services.evidence.copies import CopyCheckpoints

        limit = timedelta(hours=self.settings.checkpoint_copy_limit_hours)
        return CopyCheckpoints(self.authority, lambda: self.audit_log, self._places(), self.alerts, limit=limit)

    def _places(self) -> dict[str, KeepCopy]:
        from governance.bootstrap.settings import mail_server, webhook_key
        from governance.delivery import copies

        settings, found = self.settings, dict[str, "KeepCopy"]()
        if settings.checkpoint_copy_folder:
            found["file"] = copies.FolderCopy(Path(settings.checkpoint_copy_folder), settings.log_origin)
        if settings.checkpoint_copy_url:
            key = webhook_key(settings.checkpoint_copy_secret)
            found["http"] = copies.HttpCopy(settings.checkpoint_copy_url, key, settings.log_origin)
        if settings.checkpoint_copy_bucket:
            found["s3"] = copies.BucketCopy(
                settings.checkpoint_copy_bucket,
                settings.log_origin,
                prefix=settings.checkpoint_copy_prefix,
                endpoint=settings.checkpoint_copy_endpoint,
                lock=timedelta(days=settings.checkpoint_copy_lock_days),
            )
        if settings.checkpoint_copy_mail_to:
            server = mail_server(settings.checkpoint_copy_smtp)
            found["mail"] = copies.MailCopy(
                settings.checkpoint_copy_mail_to,
                settings.checkpoint_copy_mail_from,
                settings.log_origin,
                host=server.host,
                port=server.port,
                secure=server.secure,
                local=server.local,
                user=server.user,
                password=settings.checkpoint_copy_smtp_password.get_secret_value(),
            )
        return found

    @cached_property
    def access_reviews(self) -> AccessReviewService:
        """Monthly reviews of who may do what and who read what."""
        from governance.services.evidence.access import AccessReviewService

        return AccessReviewService(self.authority, zone=self.time_zone, redact=self.redact_text)

    @cached_property
    def findings(self) -> FindingService:
        """What verifications found wrong, and who has acknowledged it."""
        from governance.services.evidence.findings import FindingService

        return FindingService(self.authority, redact=self.redact_text)
