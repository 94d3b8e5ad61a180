"""A proxy that ends TLS in front of a server on loopback, as nginx or an ingress does."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class TlsProxy:
    """Passes on every connection to `upstream`, a port of this machine: the request's head with the client's address
    and scheme, the rest as it is. One request a connection; a websocket keeps its own."""

    def __init__(self, folder: Path, name: str, upstream: int) -> None:
        self._upstream = upstream
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(_certificate(folder, name))
        self.url = ""
        self._name = name
        self._up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._thread.start()
        assert self._up.wait(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context, limit=1 << 20)
        self.url = f"https://{self._name}:{server.sockets[0].getsockname()[1]}"
        self._up.set()
        await self._end.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            inner, out = await asyncio.open_connection("127.0.0.1", self._upstream)
            try:
                out.write(_passed_on(head, str(writer.get_extra_info("peername")[0])))
                await asyncio.gather(_pump(reader, out), _pump(inner, writer))
            finally:
                await _close(out)
        await _close(writer)


def _passed_on(head: bytes, client: str) -> bytes:
    lines = head.decode("latin-1").split("\r\n")[:-2]
    upgrade = any(line.lower().startswith("upgrade:") for line in lines)
    came = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("x-forwarded-for:")]
    kept = [
        line
        for line in lines
        if not line.lower().startswith(("x-forwarded-", "forwarded:"))
        and (upgrade or not line.lower().startswith("connection:"))
    ]
    kept += [f"X-Forwarded-For: {', '.join([*came, client])}", "X-Forwarded-Proto: https"]
    kept += [] if upgrade else ["Connection: close"]
    return ("\r\n".join(kept) + "\r\n\r\n").encode("latin-1")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "proxy.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file
