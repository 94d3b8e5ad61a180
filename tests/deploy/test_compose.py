"""`deploy/compose.yaml`: of the Compose schema, hardened, and in step with the proxy, the image and the settings."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from governance.cli import COMMANDS
from tests.deploy.settings import DEPLOY, DOCUMENTED, FOREIGN, ROOT

TEXT = (DEPLOY / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("${GOVERNANCE_IMAGE")]
SERVERS = [name for name in OURS if "serve" in SERVICES[name]["command"]]
NGINX = (DEPLOY / "nginx" / "nginx.conf").read_text("utf-8")


def test_it_fits_the_schema_of_compose() -> None:
    jsonschema.Draft7Validator(get_builtin_schema("vendor.compose-spec")).validate(COMPOSE)


def test_there_are_two_servers_two_workers_a_database_and_a_proxy() -> None:
    assert SERVERS == ["server-1", "server-2"]
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert {"postgres", "proxy", "migrate"} < set(SERVICES)


@pytest.mark.parametrize("name", OURS)
def test_each_process_is_hardened_and_waits_for_the_migration(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == re.search(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]  # type: ignore[index]
    waits = service["depends_on"]
    if name == "migrate":
        assert waits == {"postgres": {"condition": "service_healthy"}}
        assert service["restart"] == "no"
    else:
        assert waits == {"migrate": {"condition": "service_completed_successfully"}}
        assert service["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", OURS)
def test_commands_and_settings_exist(name: str) -> None:
    program, command, *_rest = SERVICES[name]["command"]
    assert program == "governance"
    assert command in COMMANDS
    assert set(SERVICES[name]["environment"]) <= DOCUMENTED | FOREIGN


def test_every_secret_must_be_given() -> None:
    """No value that opens something has a default, and each is named where it is to be filled in."""
    asked = dict(re.findall(r"\$\{([A-Z_]+)(:[?-])?", TEXT))
    for name in asked:
        if re.search(r"PASSWORD|KEY|SECRET|TLS|ORIGIN|OIDC|PUBLIC_URL", name):
            assert asked[name] == ":?", name
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE))
    assert set(asked) - {"GOVERNANCE_IMAGE"} == set(example)
    assert not any(example[name] for name, how in asked.items() if how == ":?" and name in example)


def test_a_health_check_asks_what_the_server_answers() -> None:
    assert SERVICES["server-1"]["healthcheck"]["test"][:2] == ["CMD", "python"]
    assert "http://127.0.0.1:8501/healthz" in SERVICES["server-1"]["healthcheck"]["test"][3]
    # The image's own check asks a server; these two are none.
    assert all(SERVICES[name]["healthcheck"] == {"disable": True} for name in ("migrate", "worker"))


def test_the_proxy_knows_the_servers_and_the_servers_believe_the_proxy_alone() -> None:
    for upstream in re.findall(r"upstream \w+ \{(.*?)\}", NGINX, re.DOTALL):
        assert re.findall(r"server ([\w-]+):8501", upstream) == SERVERS
    address = SERVICES["proxy"]["networks"]["front"]["ipv4_address"]
    assert all(SERVICES[name]["environment"]["GOVERNANCE_TRUSTED_PROXIES"] == address for name in SERVERS)
    # Addresses that are fixed: nginx asks for a name once, at its start.
    assert all("ipv4_address" in SERVICES[name]["networks"]["front"] for name in SERVERS)
    listened = re.findall(r"listen (\d+)", NGINX)
    assert [port.rpartition(":")[2] for port in SERVICES["proxy"]["ports"]] == listened
    for secret in SERVICES["proxy"]["secrets"]:
        assert f"/run/secrets/{secret};" in NGINX


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["back"]
