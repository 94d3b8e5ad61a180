"""`deploy/kubernetes`: of Kubernetes' schemas, in step with the settings, the image and the product's addresses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from governance.api.health import health_routes
from governance.api.metrics import Metrics
from governance.cli import COMMANDS
from governance.errors import GovernanceError
from governance.privacy.keys import secret_of
from tests.deploy.settings import DEPLOY, DOCUMENTED, FOREIGN

FOLDER = DEPLOY / "kubernetes"
Resource = dict[str, Any]


def read(path: Path) -> list[Resource]:
    return [found for found in yaml.safe_load_all(path.read_text("utf-8")) if found]


def named(kustomization: Path) -> list[Path]:
    return [kustomization.parent / name for name in read(kustomization)[0]["resources"]]


FILES = named(FOLDER / "base" / "kustomization.yaml")
RESOURCES = [resource for file in FILES for resource in read(file)]
SECRETS = read(FOLDER / "example" / "secrets.example.yaml")


def of(kind: str) -> list[Resource]:
    return [resource for resource in RESOURCES if resource["kind"] == kind]


def pods() -> Iterator[tuple[str, Resource]]:
    for resource in RESOURCES:
        if "template" in resource.get("spec", {}):
            yield resource["metadata"]["name"], resource["spec"]["template"]


def containers(template: Resource) -> list[Resource]:
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


PODS = list(pods())


@pytest.mark.parametrize("version", ["1.29", "1.37"])
@pytest.mark.parametrize("resource", [*RESOURCES, *SECRETS], ids=lambda one: f"{one['kind']}/{one['metadata']['name']}")
def test_each_resource_fits_its_schema(resource: Resource, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_no_file_lies_beside_the_list() -> None:
    assert {path.name for path in (FOLDER / "base").iterdir()} == {"kustomization.yaml", *(file.name for file in FILES)}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="No kubectl on this machine.")
def test_the_example_can_be_rendered() -> None:
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / "example")], capture_output=True, text=True, check=True
    ).stdout
    found = [resource for resource in yaml.safe_load_all(rendered) if resource]
    for resource in found:
        kubernetes_validate.validate(resource, "1.37", strict=True)
        assert resource["metadata"]["namespace"] == "governance"
    images = {
        container["image"]
        for one in found
        if "template" in one.get("spec", {})
        for container in containers(one["spec"]["template"])
    }
    assert images == {"registry.example.org/governance:0.1.0"}
    (policies,) = (one for one in found if one["metadata"]["name"] == "governance-policies")
    assert list(policies["data"]) == ["answer-without-document.yaml"]


@pytest.mark.parametrize(("name", "template"), PODS)
def test_each_pod_is_hardened(name: str, template: Resource) -> None:
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in containers(template):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        program, command, *_rest = container["args"]
        assert (program, command in COMMANDS) == ("governance", True)


def test_every_setting_is_a_documented_one() -> None:
    lines = (FOLDER / "example" / "settings.env").read_text().splitlines()
    settings = [line.partition("=")[0] for line in lines if line]
    secrets = [name for secret in SECRETS for name in secret["stringData"]]
    assert set(settings) | set(secrets) <= DOCUMENTED | FOREIGN
    assert not set(settings) & set(secrets)


def test_what_stands_in_for_a_key_is_refused(tmp_path: Path) -> None:
    """An empty value would let each pod make a key of its own, in a folder that goes with the pod."""
    values = {name: value for secret in SECRETS for name, value in secret["stringData"].items()}
    assert all(value.startswith("<") for value in values.values())
    for name in ("GOVERNANCE_KEY_ENCRYPTION_KEY", "GOVERNANCE_SIGNING_KEY"):
        with pytest.raises(GovernanceError, match=name):
            secret_of(name, values[name], tmp_path / "made.key")
    assert not list(tmp_path.iterdir())


def test_only_servers_know_the_secret_of_the_sign_in() -> None:
    knowing = [
        container["name"]
        for _name, template in PODS
        for container in containers(template)
        if {"secretRef": {"name": "governance-sign-in"}} in container["envFrom"]
    ]
    assert knowing == ["server"]


def test_probes_ask_what_the_product_answers() -> None:
    paths = {route.path for route in health_routes(cast("Any", None), Metrics())}
    (server,) = (template for name, template in PODS if name == "governance-server")
    (container,) = server["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in paths
        assert container[probe]["httpGet"]["port"] in {port["name"] for port in container["ports"]}
    (ingress,) = of("Ingress")
    closed = [
        path["path"]
        for path in ingress["spec"]["rules"][0]["http"]["paths"]
        if path["backend"]["service"]["name"] == "governance-closed"
    ]
    assert set(closed) == paths - {"/healthz"}


def test_selectors_find_pods_and_ports_find_services() -> None:
    labels = [template["metadata"]["labels"] for _name, template in PODS]
    wanted = [service["spec"]["selector"] for service in of("Service")]
    wanted += [budget["spec"]["selector"]["matchLabels"] for budget in of("PodDisruptionBudget")]
    wanted += [policy["spec"]["podSelector"]["matchLabels"] for policy in of("NetworkPolicy")]
    for selector in wanted:
        assert any(selector.items() <= one.items() for one in labels), selector
    services = {
        service["metadata"]["name"]: [port["name"] for port in service["spec"]["ports"]] for service in of("Service")
    }
    (ingress,) = of("Ingress")
    for path in ingress["spec"]["rules"][0]["http"]["paths"]:
        service = path["backend"]["service"]
        assert service["port"]["name"] in services[service["name"]]


def test_the_example_policies_are_right() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "governance", "policy", "test", str(FOLDER / "example" / "policies")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
