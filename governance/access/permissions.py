"""Who may do what, answered by Cedar from `access/console.cedar` of the policy set in force.

Roles, systems and the separation of duties are all in that file; this module only states the facts. Answers are
remembered by those facts (not by who asks), so that a page may ask as often as it draws a button.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import cedarpy

from governance.domain.people import Actor, ActorKind, Permission, Role, RoleBinding, Scope
from governance.errors import Misconfigured

_REMEMBERED = 16_384
_log = logging.getLogger(__name__)
_Facts = tuple[tuple[str, bool | str], ...]


class CedarPermissions:
    """Implements `services.ports.Permissions`. Parsed and validated once; safe to share among threads."""

    def __init__(self, policies: str, schema: str) -> None:
        """`policies` and `schema` are Cedar text. Raises `Misconfigured` with Cedar's own message and place."""
        result = cedarpy.validate_policies(policies, schema)
        if not result.validation_passed:
            raise Misconfigured(
                f"access/console.cedar: {'; '.join(str(error) for error in result.errors)}.",
                advice="Mend the file, or remove it to use the one that came with the package.",
            )
        self._policies = cedarpy.PolicySet.from_str(policies)
        self._ask = lru_cache(maxsize=_REMEMBERED)(self._evaluate)

    @classmethod
    def load(cls, folder: Path, packaged: Path) -> CedarPermissions:
        """From `<folder>/access/`, or from the packaged policies where that has no `console.cedar`."""
        # Resolved once: a mounted ConfigMap that is replaced meanwhile must not give the policies of one version and
        # the schema of another.
        chosen = (folder / "access").resolve()
        if (chosen / "..data").is_symlink():
            chosen = (chosen / "..data").resolve()
        if not (chosen / "console.cedar").is_file():
            chosen = packaged / "access"
        schema = chosen / "console.cedarschema"
        if not schema.is_file():
            schema = packaged / "access" / "console.cedarschema"
        try:
            return cls((chosen / "console.cedar").read_text("utf-8"), schema.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(
                f"The permissions cannot be read: {error}.", advice="Check GOVERNANCE_POLICIES and its rights."
            ) from None

    def allowed(
        self, actor: Actor, permission: Permission, *, system: str = "", context: Mapping[str, bool | str] | None = None
    ) -> bool:
        """Whether `actor` may; `system` "" asks for everywhere. Facts: `own_work`, `claimed_by_actor` (absent: no)."""
        if not actor.bindings and not actor.scopes:
            return False
        facts = tuple(sorted(context.items())) if context else ()
        return self._ask(actor.kind, actor.bindings, actor.scopes, actor.system, permission, system, facts)

    def _evaluate(
        self,
        kind: ActorKind,
        bindings: tuple[RoleBinding, ...],
        scopes: tuple[Scope, ...],
        bound_to: str,
        permission: Permission,
        system: str,
        facts: _Facts,
    ) -> bool:
        named = {system, bound_to, *(binding.system for binding in bindings)}
        entities: list[dict[str, Any]] = [
            {"uid": _system(name), "attrs": {}, "parents": [_system("")] if name else []}
            for name in sorted({"", *named})
        ]
        principal = {"type": _PRINCIPALS[kind], "id": "actor"}
        attributes: dict[str, Any]
        if kind is ActorKind.KEY:
            attributes = {"scopes": [str(scope) for scope in scopes], "system": _reference(bound_to)}
        else:
            attributes = {
                str(role): [_reference(binding.system) for binding in bindings if binding.role is role] for role in Role
            }
        entities.append({"uid": principal, "attrs": attributes, "parents": []})
        result = cedarpy.is_authorized(
            {
                "principal": principal,
                "action": {"type": "Action", "id": str(permission)},
                "resource": _system(system),
                "context": dict(facts),
            },
            self._policies,
            json.dumps(entities),
        )
        # Cedar skips a rule that fails; here a rule that fails permits nothing.
        return result.allowed and not result.diagnostics.errors


class PermissionsInForce:
    """The permissions of the policy set in force: a file that is changed on disk changes nobody's rights until the
    change is proposed, approved by another person, and in force. Implements `services.ports.Permissions`.

    Thread-safe. Asks which set is in force at most every `every` seconds.
    """

    def __init__(
        self,
        digest: Callable[[], str],
        texts: Callable[[], tuple[str, Mapping[str, str]]],
        otherwise: CedarPermissions,
        *,
        every: float = 1.0,
    ) -> None:
        """`digest` of the set in force, "" for none; `texts` gives it with the set's access files, and raises
        `Tampered` where they do not give the digest. `otherwise` counts while no set is in force, and for a set from
        before permissions were part of it."""
        self._digest = digest
        self._texts = texts
        self._otherwise = otherwise
        self._every = every
        self._lock = threading.Lock()
        self._known = ""
        self._asked = -math.inf
        self._rules: CedarPermissions | None = None

    def allowed(
        self, actor: Actor, permission: Permission, *, system: str = "", context: Mapping[str, bool | str] | None = None
    ) -> bool:
        return self.rules().allowed(actor, permission, system=system, context=context)

    def rules(self) -> CedarPermissions:
        """The permissions as of now. Those that were in force before go on where the new ones cannot be read; raises
        only where there were none."""
        rules = self._rules
        if rules is not None and time.monotonic() - self._asked < self._every:
            return rules
        if not self._lock.acquire(blocking=rules is None):
            assert rules is not None, "who has none waits"
            return rules
        try:
            try:
                digest = self._digest()
                if self._rules is None or digest != self._known:
                    self._rules, self._known = self._load(digest)
            except Exception:
                if self._rules is None:
                    raise
                _log.exception("The permissions of the policy set in force cannot be read; those before go on.")
            self._asked = time.monotonic()
            assert self._rules is not None
            return self._rules
        finally:
            self._lock.release()

    def _load(self, digest: str) -> tuple[CedarPermissions, str]:
        if not digest:
            return self._otherwise, ""
        known, texts = self._texts()
        return self.of(texts) or self._otherwise, known

    @staticmethod
    def of(texts: Mapping[str, str]) -> CedarPermissions | None:
        """The permissions among a set's access files; None where it has none. Raises `Misconfigured`."""
        rules, schema = (texts.get(f"access/{name}") for name in ("console.cedar", "console.cedarschema"))
        return None if rules is None or schema is None else CedarPermissions(rules, schema)


_PRINCIPALS = {ActorKind.PERSON: "Person", ActorKind.SERVICE: "Operator", ActorKind.KEY: "Key"}


def _system(name: str) -> dict[str, str]:
    return {"type": "System", "id": name}


def _reference(name: str) -> dict[str, dict[str, str]]:
    """An entity as an attribute's value: without the escape, Cedar reads a record."""
    return {"__entity": _system(name)}
