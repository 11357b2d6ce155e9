"""The door to decisions on a tracking server: each is asked for at its `/slipway/` API, and made there.

Nothing here imports MLflow: `slipway status` at a server is to answer at once.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from slipway.registry.actor import actor
from slipway.registry.decisions.decisions import Noted, Receipt
from slipway.registry.decisions.package import ImageMade
from slipway.registry.decisions.status import Status, status_from
from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Verdict
from slipway.registry.http_client import SlipwayServer, understood
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.situation import Situation, look
from slipway.registry.manifest import Manifest
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.policy.policy_file import load_policy
from slipway.registry.settings import RegistrySettings, load_settings, policy_place, registry_uri
from slipway.registry.version import Version, VersionRef
from slipway.registry.yaml_files import is_there


class HttpDecisions:
    """The `Decisions` of a server.

    `actor` is who asks, where the server knows no users; `policies` reads those of the working folder, where it has
    any, so that the server can say where it holds others.
    """

    def __init__(self, server: SlipwayServer, *, actor: str, policies: Callable[[], PolicyBook | None]) -> None:
        self._server = server
        self._actor = actor
        self._policies = policies

    @understood()
    def status(self) -> Status:
        """Return every stage in use, and what the server could not tell."""
        return status_from(self._server.get("/status"))

    def situation(self, model: str, reading: Ledger) -> Situation:
        """Return how a model stands, after the server finished what somebody decided and did not live to apply."""
        self._server.post(f"/models/{model}/settle", {})
        return look(model, reading)

    def record(self, verdict: Verdict, version: Version) -> Noted:
        """Have a verdict recorded, vouching for it."""
        return self._note("/verdicts", verdict.model, verdict.to_document())

    def approve(self, ref: VersionRef, stage: str, reason: str) -> Noted:
        """Approve a version for a stage."""
        return self._note("/approvals", ref.model, {"version": str(ref), "stage": stage, "reason": reason})

    def register(self, ref: VersionRef, reason: str, manifest: Manifest | None = None) -> Noted:
        """Have a version recorded with its files: those of the manifest, else as the server finds them."""
        files = manifest.to_json() if manifest else None
        return self._note("/registrations", ref.model, {"version": str(ref), "reason": reason, "manifest": files})

    def package(self, ref: VersionRef, made: ImageMade, override: str | None) -> Noted:
        """Have an image of a version recorded, which was made here."""
        return self._note("/images", ref.model, {"version": str(ref), "override": override, "image": asdict(made)})

    def promote(self, version: Version, stage: str, reason: str, *, grounds: Grounds | None, dry_run: bool) -> Receipt:
        """Have a version moved into a stage on the grounds of a verdict that is recorded there.

        A dry run shows a verdict that nobody recorded.
        """
        body: dict[str, Any] = {"version": str(version), "stage": stage, "reason": reason, "dry_run": dry_run}
        if grounds is not None:
            body |= {"override": grounds.override, "verdict_seq": grounds.seq}
            body |= {"verdict": grounds.verdict.to_document()} if dry_run else {}
        return self._decide("/promotions", version.model, body)

    def rollback(
        self,
        model: str,
        reason: str,
        *,
        stage: str | None,
        from_version: int | None,
        to_version: int | None,
        skip_damaged: bool,
        dry_run: bool,
    ) -> Receipt:
        """Have the version put back that was in a stage before; an older server is not asked what it does not know."""
        versions = {"from_version": from_version, "to_version": to_version}
        skipping = {"skip_damaged": True} if skip_damaged else {}
        body = {"model": model, "stage": stage, "reason": reason, "dry_run": dry_run, **versions, **skipping}
        try:
            self._policies()
        except (InvalidInput, NotFound) as error:
            done = HttpDecisions(self._server, actor=self._actor, policies=lambda: None)._decide(
                "/rollbacks", model, body
            )
            return replace(done, notes=[f"{error.message}; the server decides under its own", *done.notes])
        return self._decide("/rollbacks", model, body)

    def adopt(self, ref: VersionRef, reason: str, *, dry_run: bool) -> Receipt:
        """Have the version taken over that has a stage's alias already."""
        return self._decide("/adoptions", ref.model, {"version": str(ref), "reason": reason, "dry_run": dry_run})

    def demote(self, ref: VersionRef, reason: str, *, to: str | None, dry_run: bool) -> Receipt:
        """Have a version taken out of its stage."""
        body = {"version": str(ref), "to": to, "reason": reason, "dry_run": dry_run}
        return self._decide("/demotions", ref.model, body)

    def archive(self, ref: VersionRef, reason: str, *, dry_run: bool) -> Receipt:
        """Have it ruled that nothing goes back to a version."""
        return self._decide("/archivals", ref.model, {"version": str(ref), "reason": reason, "dry_run": dry_run})

    @understood()
    def _decide(self, path: str, model: str, body: Mapping[str, Any]) -> Receipt:
        return Receipt(**self._server.post(path, {**body, **self._from_here(model)}))

    @understood()
    def _note(self, path: str, model: str, body: Mapping[str, Any]) -> Noted:
        return Noted(**self._server.post(path, {**body, **self._from_here(model)}))

    def _from_here(self, model: str) -> dict[str, str | None]:
        policies = self._policies()
        digest = policies.of(model).digest if policies else None
        return {"actor": self._actor, "policy_digest": digest}


def open_decisions() -> HttpDecisions:
    """Return the decisions of the server that the environment names."""
    folder = Path.cwd()
    settings = load_settings(RegistrySettings, "registry", environ=os.environ, folder=folder)

    def policies() -> PolicyBook | None:
        file = policy_place(settings, folder)
        return load_policy(file) if is_there(file) else None

    return HttpDecisions(SlipwayServer(registry_uri(os.environ), os.environ), actor=actor(), policies=policies)
