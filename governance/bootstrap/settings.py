"""Settings, from the environment (prefix `GOVERNANCE_`) or a `.env` file; docs/settings.md lists them all."""

from __future__ import annotations

import base64
import json
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from governance.domain.people import Role
from governance.domain.schedule import time_zone
from governance.errors import Misconfigured


class Settings(BaseSettings):
    """All that an operator can set. Secrets are `SecretStr`, so that no log and no traceback shows them."""

    model_config = SettingsConfigDict(
        env_prefix="GOVERNANCE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Field(default=Path("var"), description="Where the embedded database and the created keys lie.")
    database_url: str = Field(default="", description="SQLAlchemy URL; empty is SQLite in the data directory.")
    policies: Path = Field(
        default=Path("policies"), description="The policy files; unset and not there, those that came with the package."
    )
    public_url: str = Field(
        default="", description="The address people use, for example https://governance.example.org."
    )
    oidc_issuer: str = Field(default="", description="OpenID Connect issuer; empty is local accounts.")
    oidc_client_id: str = Field(default="", description="Client id at the issuer.")
    oidc_client_secret: SecretStr = Field(default=SecretStr(""), description="Client secret at the issuer.")
    roles_claim: str = Field(default="groups", description="The claim that holds a person's roles or groups.")
    role_map: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Group to role, as group=role[,group=role...] or JSON; a group named as a role needs no entry.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), description="Proxies whose word on the client's address is taken: addresses or networks, by commas."
    )
    key_encryption_key: SecretStr = Field(
        default=SecretStr(""),
        description="32 bytes in base64; empty is the file key-encryption.key in the data directory.",
    )
    key_encryption_key_old: SecretStr = Field(
        default=SecretStr(""),
        description="The key-encryption key before a rotation, until governance keys rotate is done; empty is the file "
        "key-encryption.old.key in the data directory, where there is one.",
    )
    signing_key: SecretStr = Field(
        default=SecretStr(""),
        description="Ed25519 seed, 32 bytes in base64; empty is the file signing.key in the data directory.",
    )
    log_origin: str = Field(default="governance.local/audit", description="The audit log's name in its checkpoints.")
    session_hours: int = Field(default=8, ge=1, le=24, description="How long a sign-in lasts.")
    lease_minutes: int = Field(
        default=20, ge=1, le=240, description="How long a claimed case is held without a decision."
    )
    reveal_minutes: int = Field(default=5, ge=1, le=60, description="How long revealed original text stays visible.")
    max_body_mib: int = Field(default=20, ge=1, le=200, description="Largest request body after decompression, in MiB.")
    check_lag_warning: int = Field(
        default=60, ge=1, description="Seconds that a call may wait for its check before that is a warning."
    )
    check_lag_failure: int = Field(
        default=600, ge=1, description="Seconds that a call may wait for its check before that is a failure."
    )
    workers: int = Field(default=1, ge=1, le=64, description="Checking processes that `serve` starts.")

    scanners_memory_mib: int = Field(
        default=4096, ge=0, le=1_048_576, description="Memory of a scanner process, in MiB; 0 is no limit."
    )
    scanners_online: bool = Field(
        default=False, description="Whether scanners may fetch weights from a hub and open addresses."
    )
    judge_url: str = Field(default="", description="Base URL of an OpenAI-compatible service; empty is no judge.")
    judge_key: SecretStr = Field(default=SecretStr(""), description="API key of the judge's service.")
    judge_model: str = Field(default="", description="The model that judges.")
    judge_timeout: float = Field(default=20.0, gt=0, le=300, description="Seconds that one judgement may take.")
    judge_calls_a_day: int = Field(default=1_000, ge=0, description="Requests to the judge a day; 0 is no limit.")
    judge_tokens_a_day: int = Field(default=1_000_000, ge=0, description="Its tokens a day; 0 is no limit.")

    time_zone: str = Field(default="UTC", description="The firm's time zone (IANA name), for daily jobs.")
    alert_webhook_url: str = Field(
        default="", description="Where alerts about this installation are sent; empty is nowhere."
    )
    alert_webhook_secret: SecretStr = Field(
        default=SecretStr(""), validate_default=True, description="Signs alerts: whsec_ and 24 to 64 bytes in base64."
    )

    checkpoint_copy_folder: str = Field(
        default="", description="Folder outside that keeps checkpoints, a file each; empty is none."
    )
    checkpoint_copy_url: str = Field(default="", description="Address that checkpoints are sent to; empty is none.")
    checkpoint_copy_secret: SecretStr = Field(
        default=SecretStr(""), validate_default=True, description="Signs them: whsec_ and 24 to 64 bytes in base64."
    )
    checkpoint_copy_bucket: str = Field(default="", description="S3 bucket that keeps checkpoints; empty is none.")
    checkpoint_copy_prefix: str = Field(default="", description="Before the names of objects in the bucket.")
    checkpoint_copy_endpoint: str = Field(default="", description="Of an S3-compatible service; empty is Amazon's.")
    checkpoint_copy_lock_days: int = Field(
        default=3650, ge=0, le=36_500, description="Days that the bucket locks an object; 0 is no lock."
    )
    checkpoint_copy_mail_to: str = Field(default="", description="Mail address for checkpoints; empty is none.")
    checkpoint_copy_mail_from: str = Field(default="", description="The sender's address.")
    checkpoint_copy_smtp: str = Field(
        default="", description="The mail server: smtp://[user@]host[:port] (STARTTLS) or smtps://..."
    )
    checkpoint_copy_smtp_password: SecretStr = Field(default=SecretStr(""), description="The password of that user.")
    checkpoint_copy_limit_hours: int = Field(
        default=24, ge=2, le=2_160, description="How old the last copy may be before it is a warning and an alert."
    )

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        time_zone(value)
        return value

    @field_validator("alert_webhook_url", "checkpoint_copy_url")
    @classmethod
    def _address(cls, value: str) -> str:
        """Its words stay out of the message: an address may hold a token."""
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError("is not an address") from None
        if not value:
            return value
        if parts.scheme not in ("https", "http") or not host or parts.username is not None:
            raise ValueError("must be an https address without a user name, such as https://alerts.example.org/hook")
        if parts.scheme == "http" and not _loopback(host):
            raise ValueError("must be an https address: what is sent would be readable on the way")
        return value

    @field_validator("alert_webhook_secret", "checkpoint_copy_secret")
    @classmethod
    def _secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if not value.get_secret_value():
            if info.data.get(str(info.field_name).replace("_secret", "_url")):
                raise ValueError("is missing: what is sent is signed")
            return value
        webhook_key(value)
        return value

    @field_validator("role_map", mode="before")
    @classmethod
    def _groups(cls, value: object) -> object:
        """`group=role[,group=role...]` as it stands in the environment, or JSON for names that contain commas."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("{"):
            try:
                found = json.loads(value)
            except ValueError:
                raise ValueError("it begins like a JSON object and is none") from None
            for group, role in found.items():
                if role not in set(Role):
                    raise ValueError(f"{group!r} is given no role; roles are {', '.join(Role)}")
            return found
        pairs = [pair.strip() for pair in value.split(",") if pair.strip()]
        groups = {}
        for pair in pairs:
            group, _, role = (part.strip() for part in pair.rpartition("="))
            if not group or role not in set(Role):
                raise ValueError(f"{pair!r} is no group=role; roles are {', '.join(Role)}")
            groups[group] = role
        return groups

    @field_validator("checkpoint_copy_smtp")
    @classmethod
    def _mail_server(cls, value: str) -> str:
        if value and not mail_server(value).host:
            raise ValueError("must be smtp://[user@]host[:port] or smtps://[user@]host[:port]")
        return value

    @model_validator(mode="after")
    def _mail(self) -> Self:
        if self.checkpoint_copy_mail_to and not (self.checkpoint_copy_mail_from and self.checkpoint_copy_smtp):
            raise ValueError("GOVERNANCE_CHECKPOINT_COPY_MAIL_TO needs _MAIL_FROM and GOVERNANCE_CHECKPOINT_COPY_SMTP")
        return self

    @model_validator(mode="after")
    def _lags(self) -> Self:
        if self.check_lag_failure < self.check_lag_warning:
            raise ValueError("GOVERNANCE_CHECK_LAG_FAILURE must not be below GOVERNANCE_CHECK_LAG_WARNING")
        return self

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        """Addresses and networks as they stand in the environment."""
        if not isinstance(value, str):
            return value
        networks = []
        for part in (part.strip() for part in value.split(",")):
            if not part:
                continue
            try:
                network = ip_network(part)
            except ValueError as error:
                raise ValueError(f"{part!r} is no address and no network ({error})") from None
            if network.prefixlen == 0:
                raise ValueError(f"{part!r} is everybody: whoever calls would choose their own address")
            networks.append(network)
        return tuple(networks)

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, secrets included: for processes of our own."""
        found = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "policies" and name not in self.model_fields_set and not value.is_dir():
                continue  # those that came with the package
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            elif isinstance(value, dict):
                value = json.dumps(value) if value else ""
            elif isinstance(value, tuple):
                value = ",".join(str(network) for network in value)
            elif isinstance(value, Path):
                value = value.absolute()
            found[f"GOVERNANCE_{name.upper()}"] = str(value)
        return found


class MailServer(NamedTuple):
    """`secure` is TLS from the first byte; else STARTTLS is needed, but on this machine."""

    secure: bool
    host: str
    port: int
    user: str

    @property
    def local(self) -> bool:
        return _loopback(self.host)


def mail_server(address: str) -> MailServer:
    """What `smtp://user@host:587` says; a host of "" where it says nothing that makes sense."""
    try:
        parts = urlsplit(address)
        secure = parts.scheme == "smtps"
        host = parts.hostname or "" if parts.scheme in ("smtp", "smtps") and parts.password is None else ""
        return MailServer(secure, host, parts.port or (465 if secure else 587), unquote(parts.username or ""))
    except ValueError:
        return MailServer(False, "", 0, "")


def webhook_key(secret: SecretStr) -> bytes:
    """The key of a Standard Webhooks secret, `whsec_<base64>`. Raises `ValueError`."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ followed by 24 to 64 bytes in base64")
    return key


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def load(**overrides: object) -> Settings:
    """Reads the settings; a wrong value is a `Misconfigured` that names it and never shows a secret."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "".join(f"GOVERNANCE_{str(part).upper()}: " for part in first["loc"][:1])
        raise Misconfigured(
            f"{name}{first['msg'].removeprefix('Value error, ')}.", advice="See docs/settings.md."
        ) from None
