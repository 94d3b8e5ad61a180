"""Places outside that keep checkpoints: a folder, an address, a bucket, a mailbox. `services.evidence.ports.KeepCopy`.

Addresses come from settings alone. What a place answers is never shown: errors are words of ours.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import smtplib
import ssl
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from governance.delivery.webhook import Webhook
from governance.services.jobs.ports import Message, NotDelivered

SECONDS = 20.0
_LARGEST = 100_000


def file_name(origin: str, size: int) -> str:
    """`governance.local_audit-000000004211.note`: sorted by name, they are sorted by size."""
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', origin)[:120]}-{size:012}.note"


class FolderCopy:
    """A file for each checkpoint, which appears whole and is never written again. The folder is somebody else's, such
    as a share that this account may only add to."""

    def __init__(self, folder: Path, origin: str) -> None:
        self._folder = folder
        self._origin = origin
        self.where = str(folder)

    def latest(self) -> str:
        """The note of the largest size: names sort by size."""
        head = file_name(self._origin, 0).removesuffix("000000000000.note")
        try:
            kept = [one for one in self._folder.glob("*.note") if one.name.startswith(head)]
            return max(kept).read_bytes()[:_LARGEST].decode() if kept else ""
        except (OSError, UnicodeDecodeError):
            return ""

    def __call__(self, note: str, *, size: int, root: bytes, now: datetime) -> None:
        target = self._folder / file_name(self._origin, size)
        beside = self._folder / f".{target.name}.{secrets.token_hex(6)}"
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(note.encode())
                    file.flush()
                    os.fsync(file.fileno())
                os.link(beside, target)  # unlike a rename it takes no file's place
            finally:
                beside.unlink(missing_ok=True)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError:
            self._compare(target, note)
        except OSError as error:
            raise NotDelivered(f"The folder cannot be written: {error.strerror or type(error).__name__}.") from None

    def _compare(self, target: Path, note: str) -> None:
        """A file that is there already must say the same of the log; it may carry another signature."""
        try:
            there = target.read_bytes()[:_LARGEST]
        except OSError as error:
            raise NotDelivered(f"The file of this size cannot be read: {error.strerror}.") from None
        if there.split(b"\n")[:3] != note.encode().split(b"\n")[:3]:
            raise NotDelivered("The folder holds another checkpoint of this size. One of the two logs was forged.")


class HttpCopy:
    """A signed request for each checkpoint, in the form of Standard Webhooks: `{type, timestamp, data: {origin, size,
    root, checkpoint}}`."""

    def __init__(self, url: str, secret: bytes, origin: str) -> None:
        self._send = Webhook(url, secret, seconds=SECONDS)
        self._origin = origin
        self.where = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"

    def latest(self) -> str:
        return ""

    def __call__(self, note: str, *, size: int, root: bytes, now: datetime) -> None:
        data = {"origin": self._origin, "size": size, "root": base64.b64encode(root).decode(), "checkpoint": note}
        body = {"type": "audit.checkpoint", "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data}
        message = Message(
            id=0,
            message_id=f"checkpoint_{size}_{root[:4].hex()}",
            kind="audit.checkpoint",
            body=json.dumps(body, separators=(",", ":")),
            created_at=now,
            delivered_at=None,
        )
        self._send(message, now=now)


class BucketCopy:
    """An object for each checkpoint in an S3-compatible bucket, locked there (COMPLIANCE) for a time. The bucket must
    have object lock; credentials are found as boto3 finds them."""

    def __init__(self, bucket: str, origin: str, *, prefix: str = "", endpoint: str = "", lock: timedelta) -> None:
        self._bucket = bucket
        self._origin = origin
        self._prefix = prefix
        self._endpoint = endpoint
        self._lock = lock
        self.where = f"s3://{bucket}/{prefix}"

    def latest(self) -> str:
        return ""  # its account may add, not read

    def __call__(self, note: str, *, size: int, root: bytes, now: datetime) -> None:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise NotDelivered("boto3 is not installed: pip install 'governance-console[s3]'.") from None
        wanted: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": f"{self._prefix}{file_name(self._origin, size)}",
            "Body": note.encode(),
            "ContentType": "text/plain; charset=utf-8",
            "ChecksumAlgorithm": "SHA256",
        }
        if self._lock:
            wanted |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": now + self._lock}
        config = Config(connect_timeout=SECONDS / 2, read_timeout=SECONDS, retries={"max_attempts": 2})
        try:
            client = boto3.client("s3", endpoint_url=self._endpoint or None, config=config)
            with contextlib.closing(client):
                client.put_object(**wanted)
        except ClientError as error:
            code = re.sub(r"[^A-Za-z0-9]", "", str(error.response.get("Error", {}).get("Code", "")))[:60]
            raise NotDelivered(f"The bucket refused the object ({code or 'no code'}).") from None
        except (BotoCoreError, ValueError) as error:
            raise NotDelivered(f"The bucket cannot be reached ({type(error).__name__}).") from None


class MailCopy:
    """A mail for each checkpoint, the note attached as a file. Without `secure` the server must offer STARTTLS, unless
    it is `local`."""

    def __init__(
        self,
        to: str,
        sender: str,
        origin: str,
        *,
        host: str,
        port: int,
        secure: bool,
        local: bool,
        user: str = "",
        password: str = "",
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._to = to
        self._sender = sender
        self._origin = origin
        self._host, self._port, self._secure, self._local = host, port, secure, local
        self._user, self._password = user, password
        self._trust = trust
        self.where = f"mailto:{to}"

    def latest(self) -> str:
        return ""

    def __call__(self, note: str, *, size: int, root: bytes, now: datetime) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._sender, self._to
        mail["Subject"] = f"Checkpoint of {self._origin}: {size} events"
        mail["Date"] = now
        mail["Message-ID"] = f"<checkpoint-{size}-{root[:8].hex()}@{self._sender.rpartition('@')[2] or 'localhost'}>"
        mail.set_content(
            f"The audit log {self._origin} has {size} events. The attached checkpoint is signed.\n"
            "Keep it: with it anybody can show that nothing before it was changed or cut, by\n"
            "  governance audit verify --checkpoint FILE\n"
        )
        mail.add_attachment(
            note.encode(), maintype="application", subtype="octet-stream", filename=file_name(self._origin, size)
        )
        trust = self._trust or ssl.create_default_context()
        try:
            if self._secure:
                server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=SECONDS, context=trust)
            else:
                server = smtplib.SMTP(self._host, self._port, timeout=SECONDS)
            with server:
                self._deliver(server, mail, trust)
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"The mail server refused the mail (code {error.smtp_code}).") from None
        except smtplib.SMTPRecipientsRefused:
            raise NotDelivered("The mail server refused the recipient.") from None
        except ssl.SSLError:
            raise NotDelivered("The mail server's certificate is not trusted, or it speaks no TLS.") from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"The mail server cannot be reached ({type(error).__name__}).") from None

    def _deliver(self, server: smtplib.SMTP, mail: EmailMessage, trust: ssl.SSLContext) -> None:
        if not self._secure:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=trust)
            elif not self._local:
                raise NotDelivered("The mail server offers no STARTTLS: the mail would be readable on the way.")
        if self._user:
            server.login(self._user, self._password)
        server.send_message(mail)
