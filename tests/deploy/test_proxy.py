"""The proxy's configuration as deployed, in a real nginx: TLS, two servers on PostgreSQL, two workers, a browser.

Only addresses, ports and the certificate's place are put in for this machine.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Browser, Page

from governance import bootstrap
from governance.bootstrap import Settings
from governance.domain.people import Role, RoleBinding, operator
from tests.browser.conftest import browser, heading  # noqa: F401 - the fixture
from tests.policy.samples import GOOD
from tests.serving import Serving, free_port, traces

NGINX = shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if Path(path).exists()), "")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "nginx.conf"


@dataclass
class Installation:
    """Two servers, two workers and the proxy before them. `log` is what the proxy wrote of its requests."""

    servers: list[Serving]
    workers: list[subprocess.Popen[bytes]]
    secure: int
    plain: int
    log: Path
    key: str
    password: str

    @property
    def url(self) -> str:
        return f"https://localhost:{self.secure}"

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """A request through the proxy, its path exactly as it stands here."""
        connection = http.client.HTTPSConnection("localhost", self.secure, timeout=30, context=_unchecked())
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def asked(self, of: str) -> list[str]:
        """The servers that answered requests whose path matches, in order; the proxy's own answers are left out."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [line[-1] for line in lines if re.search(of, line[3]) and line[-1] != "-"]


def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def certificate(folder: Path) -> None:
    """A certificate for localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls_certificate").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "tls_key").write_bytes(key.private_bytes(pem, plain, serialization.NoEncryption()))


def placed(folder: Path, servers: list[Serving], secure: int, plain: int) -> str:
    """The configuration with this machine's addresses, ports and folders in place of the containers'."""
    text = CONFIGURATION.read_text()
    put = {
        "server-1:8501": f"127.0.0.1:{servers[0].port}",
        "server-2:8501": f"127.0.0.1:{servers[1].port}",
        "listen 8080;": f"listen 127.0.0.1:{plain};",
        "listen 8443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
        "/run/secrets/": f"{folder}/",
        "/tmp/": f"{folder}/",
        "/dev/stdout": f"{folder}/access.log",
        "/dev/stderr": f"{folder}/error.log",
    }
    assert not [old for old in put if old not in text], "stands no longer in the configuration"
    return re.sub("|".join(map(re.escape, put)), lambda found: put[found[0]], text)


@pytest.fixture(scope="module")
def installation(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    if not NGINX:
        if os.environ.get("CI"):
            pytest.fail("The proxy's tests need nginx: apt-get install nginx.")
        pytest.skip("No nginx on this machine (apt-get install nginx).")
    import sqlalchemy as sa

    from tests.conftest import _driver, _named

    admin = sa.create_engine(_driver(postgres_url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE proxied TEMPLATE template_governance")
    database_url = _named(postgres_url, "proxied")
    folder = tmp_path_factory.mktemp("proxied")
    (folder / "policies").mkdir()
    (folder / "policies" / "direct.yaml").write_text(GOOD)
    application = bootstrap.open_application(
        Settings(data_dir=folder, database_url=database_url, _env_file=None),  # type: ignore[call-arg]
    )
    made = application.people.add(operator("tests"), "everybody", [RoleBinding(role=role) for role in Role])
    who = application.sessions.sign_in_local("everybody", made.password).actor
    password = "long enough everybody"
    application.people.change_password(who, made.password, password)
    application.close()
    secure, plain = free_port(), free_port()
    # One data directory, as the containers share a volume: both keys lie in it.
    servers = [
        Serving(
            folder,
            database_url=database_url,
            GOVERNANCE_PUBLIC_URL=f"https://localhost:{secure}",
            GOVERNANCE_TRUSTED_PROXIES="127.0.0.1",
        )
        for _ in range(2)
    ]
    certificate(folder)
    (folder / "nginx.conf").write_text(placed(folder, servers, secure, plain))
    said = subprocess.run([NGINX, "-t", "-c", str(folder / "nginx.conf")], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr
    started: list[subprocess.Popen[bytes]] = []
    try:
        for server in servers:
            server.start("--no-worker", ready="/healthz")
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "governance", "worker"],
                env=servers[0].environment,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        started += workers
        started.append(
            subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-g", "daemon off; master_process off;"])
        )
        until(lambda: _open(secure))
        yield Installation(
            servers=servers,
            workers=workers,
            secure=secure,
            plain=plain,
            log=folder / "access.log",
            key=servers[0].key(),
            password=password,
        )
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        for server in servers:
            server.stop()
        with admin.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE proxied WITH (FORCE)")
        admin.dispose()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?x=1", "/readyz", "/./readyz"],
)
def test_figures_of_the_installation_are_not_public(installation: Installation, path: str) -> None:
    status, _headers, body = installation.ask("GET", path)
    assert status == 404
    assert b"governance" not in body
    assert installation.servers[0].status("/metrics") == 200, "inside they are"


def test_what_is_public_answers(installation: Installation) -> None:
    assert installation.ask("GET", "/healthz")[0] == 200
    assert installation.ask("GET", "/v1/openapi.json")[0] == 200
    status, headers, _body = installation.ask("GET", "/")
    assert (status, headers["location"].partition("?")[0]) in {(302, "/signin"), (303, "/signin"), (307, "/signin")}
    assert headers["strict-transport-security"]
    assert "server" not in headers or "/" not in headers["server"]


def test_plain_http_leads_to_https(installation: Installation) -> None:
    connection = http.client.HTTPConnection("localhost", installation.plain, timeout=10)
    connection.request("GET", "/queue?view=Mine")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, "https://localhost/queue?view=Mine")
    connection.close()


def test_old_tls_is_refused(installation: Installation) -> None:
    old = _unchecked()
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("localhost", installation.secure)) as plain, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(plain, server_hostname="localhost")


def test_a_body_that_is_too_large_is_refused_by_the_proxy(installation: Installation) -> None:
    said = {"Authorization": f"Bearer {installation.key}", "Content-Length": str(22 << 20)}
    connection = http.client.HTTPSConnection("localhost", installation.secure, timeout=30, context=_unchecked())
    connection.putrequest("POST", "/v1/traces")
    for name, value in said.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_no_words_of_a_search_and_no_code_of_a_sign_in_are_logged(installation: Installation) -> None:
    installation.ask("GET", "/calls?words=a-very-private-word&code=abc")
    assert installation.asked("^/calls$")
    assert "a-very-private-word" not in installation.log.read_text()


def signed_in(browser: Browser, installation: Installation) -> Page:  # noqa: F811
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(installation.url + "/audit")
    page.fill("input[name=user]", "everybody")
    page.fill("input[name=password]", installation.password)
    page.click("button")
    heading(page)
    return page


def test_a_person_stays_at_one_server_and_goes_on_at_the_other_when_it_is_killed(
    installation: Installation,
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    sockets: list[str] = []
    page = signed_in(browser, installation)
    page.on("websocket", lambda opened: sockets.append(opened.url))
    for path in ("/queue", "/calls", "/policies", "/audit"):
        page.goto(installation.url + path)
        heading(page)
    (cookie,) = (one for one in page.context.cookies() if one["name"] == "__Host-governance_session")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
    assert sockets
    assert all(url.startswith(f"wss://localhost:{installation.secure}/_stcore/stream") for url in sockets)
    page.get_by_role("button", name="Make the package").click()
    page.get_by_role("link", name="Download the package").wait_for()
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download the package").click()
    coming.value.save_as(tmp_path / "package.zip")
    assert zipfile.ZipFile(tmp_path / "package.zip").testzip() is None
    drawn = installation.asked("^/(queue|policies)$") + installation.asked("^/evidence/")
    assert len(drawn) >= 3
    assert len(set(drawn)) == 1, "page, websocket and download came from one server"

    (killed,) = (one for one in installation.servers if drawn[0].endswith(f":{one.port}"))
    killed.kill()
    try:
        page.goto(installation.url + "/queue")
        assert heading(page)
        page.get_by_role("link", name="Calls").first.click()
        page.wait_for_url("**/calls")
        assert heading(page)
        for number in range(6):
            status, _headers, _body = ingest(installation, number, number + 1)
            assert status == 200, "no caller notices"
    finally:
        killed.start("--no-worker", ready="/healthz")
        page.context.close()


def ingest(installation: Installation, first: int, last: int) -> tuple[int, dict[str, str], bytes]:
    return installation.ask(
        "POST",
        "/v1/traces",
        traces(range(first, last)),
        {"Authorization": f"Bearer {installation.key}", "Content-Type": "application/x-protobuf"},
    )


def test_a_worker_that_dies_leaves_its_work_to_the_other(installation: Installation) -> None:
    installation.workers[0].kill()
    installation.workers[0].wait()
    assert ingest(installation, 100, 140)[0] == 200

    def checked() -> int:
        status, _headers, body = installation.ask(
            "GET", "/v1/calls?status=checked&limit=200", headers={"Authorization": f"Bearer {installation.key}"}
        )
        assert status == 200
        return len(json.loads(body)["items"])

    until(lambda: checked() >= 40, 90)


def test_what_a_client_claims_of_its_address_goes_no_further(installation: Installation) -> None:
    """An echo in place of a server shows what arrives."""
    with socket.socket() as echo:
        echo.bind(("127.0.0.1", 0))
        echo.listen()
        folder = installation.log.parent / "echo"
        folder.mkdir()
        certificate(folder)
        pretended = [Serving(folder), Serving(folder)]
        for one in pretended:
            one.port = echo.getsockname()[1]
        secure = free_port()
        (folder / "nginx.conf").write_text(placed(folder, pretended, secure, free_port()))
        proxy = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-g", "daemon off; master_process off;"])
        try:
            until(lambda: _open(secure))
            connection = http.client.HTTPSConnection("localhost", secure, timeout=10, context=_unchecked())
            connection.request(
                "GET",
                "/queue",
                headers={
                    "X-Forwarded-For": "203.0.113.9",
                    "X-Forwarded-Host": "evil.example",
                    "X-Forwarded-Proto": "http",
                    "Forwarded": "for=203.0.113.9",
                },
            )
            echo.settimeout(10)
            peer, _address = echo.accept()
            with peer:
                head = peer.recv(65536).decode().lower()
                peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            connection.close()
        finally:
            proxy.terminate()
            proxy.wait(20)
    assert "203.0.113.9" not in head
    assert "evil.example" not in head
    assert f"host: localhost:{secure}" in head
    assert re.findall(r"^x-forwarded-(for|proto): (.*)\r$", head, flags=re.MULTILINE) == [
        ("for", "127.0.0.1"),
        ("proto", "https"),
    ]
