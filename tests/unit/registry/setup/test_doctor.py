"""The doctor's rules: what is fine, what deserves attention, what is wrong; and a look that fails is a finding."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.registry.errors import Unavailable
from slipway.registry.setup.doctor import (
    FoundCache,
    Health,
    Side,
    Symptom,
    Tables,
    diagnose,
    judge_access,
    judge_administrators,
    judge_cache,
    judge_clock,
    judge_credentials,
    judge_disk,
    judge_place,
    judge_region,
    judge_roots,
    judge_tables,
    judge_users_file,
    judge_versioning,
    judge_versions,
    ok,
)
from slipway.registry.versions.experiment_root import ExperimentRoot

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GB = 10**9
DENIED = Unavailable("writing failed: the store answered AccessDenied", code="s3-refused", hint="check the keys")
CACHE = {"root": Path("/cache"), "size_bytes": 1, "max_bytes": 2 << 20, "is_writable": True, "leftovers": ()}


def tables(revision: str | None) -> Symptom:
    """Judge tables that need revision b and know of a."""
    return judge_tables(
        Tables(name="tables", revision=revision, needed="b", known=["a", "b"], make="make", upgrade="upgrade")
    )


def roots(side: Side, *locations: str) -> Symptom:
    """Judge experiments at these locations."""
    return judge_roots([ExperimentRoot(experiment=f"e{n}", location=place) for n, place in enumerate(locations)], side)


def clock(ahead_s: float) -> Symptom:
    """Judge a clock that is so far ahead of another."""
    return judge_clock("S3", there=NOW, here=NOW + timedelta(seconds=ahead_s))


def cache(**differs: Any) -> Symptom:
    """Judge a cache that differs in this from one that is fine."""
    return judge_cache(FoundCache(**{**CACHE, **differs}))


JUDGED: dict[str, tuple[Callable[[], Symptom], Health, str]] = {
    "tables as needed": (lambda: tables("b"), Health.OK, "revision b"),
    "no tables": (lambda: tables(None), Health.WRONG, "there are none"),
    "older tables": (lambda: tables("a"), Health.WRONG, "older than what is installed here"),
    "newer tables": (lambda: tables("c"), Health.WRONG, "newer than what is installed here"),
    "an administrator": (lambda: judge_administrators(["ann"]), Health.OK, "ann"),
    "no administrator": (lambda: judge_administrators([]), Health.WRONG, "nobody is one"),
    "a bucket": (lambda: judge_place("bucket", "s3://b", is_there=True), Health.OK, "s3://b"),
    "no bucket": (lambda: judge_place("bucket", "s3://b", is_there=False), Health.WRONG, "s3://b is not there"),
    "a users' file": (lambda: judge_users_file(Path("/f"), is_current=True), Health.OK, "/f"),
    "an old users' file": (lambda: judge_users_file(Path("/f"), is_current=False), Health.WRONG, "older than the"),
    "credentials": (lambda: judge_credentials("key, by env"), Health.OK, "key, by env"),
    "no credentials": (lambda: judge_credentials(None), Health.WRONG, "none were found"),
    "everything allowed": (lambda: judge_access("a", {"write": None, "list": None}), Health.OK, "can write, list"),
    "writing denied": (
        lambda: judge_access("a", {"write": DENIED, "list": None}),
        Health.WRONG,
        "can list; cannot write: writing failed: the store answered AccessDenied",
    ),
    "versions": (lambda: judge_versioning(on=True), Health.OK, "on"),
    "no versions": (lambda: judge_versioning(on=False), Health.WARN, "off"),
    "the bucket's region": (lambda: judge_region("eu-1", "eu-1"), Health.OK, "eu-1"),
    "a store that tells no region": (lambda: judge_region("eu-1", None), Health.OK, "eu-1"),
    "another region": (lambda: judge_region("eu-1", "us-2"), Health.WRONG, "the bucket is in us-2"),
    "no region": (lambda: judge_region(None, "us-2"), Health.WARN, "none is configured"),
    "the same time": (lambda: clock(4.9), Health.OK, "within 5 s"),
    "a clock that is ahead": (lambda: clock(6), Health.WARN, "here 6 s ahead"),
    "a clock that is far behind": (lambda: clock(-301), Health.WRONG, "here 301 s behind"),
    "one version": (lambda: judge_versions("3.17.2", "3.17.0"), Health.OK, "here 3.17.2, server 3.17.0"),
    "another minor version": (lambda: judge_versions("3.17.2", "3.16.0"), Health.WARN, "server 3.16.0"),
    "another major version": (lambda: judge_versions("3.17.2", "2.22.0"), Health.WRONG, "server 2.22.0"),
    "artifacts behind the team's server": (
        lambda: roots(Side.TEAM, "mlflow-artifacts:/0", "s3://b/1"),
        Health.OK,
        "2",
    ),
    "a team's on one disk": (lambda: roots(Side.TEAM, "s3://b", "/home/ann"), Health.WRONG, "'e1' (/home/ann)"),
    "a team's in a relative folder": (lambda: roots(Side.TEAM, "./mlruns/0"), Health.WRONG, "'e0' (./mlruns/0)"),
    "alone behind a server": (lambda: roots(Side.ALONE, "mlflow-artifacts:/0"), Health.WRONG, "behind a server"),
    "alone on this disk": (lambda: roots(Side.ALONE, "file:///a"), Health.OK, "1 experiment"),
    "a server of one's own": (lambda: roots(Side.SERVER_HERE, "/a", "mlflow-artifacts:/0"), Health.OK, "2"),
    "many on one disk": (lambda: roots(Side.TEAM, *["/a"] * 5), Health.WRONG, "and 2 more"),
    "room": (lambda: judge_disk(Path("/"), 5 * GB), Health.OK, "5.0 GB free"),
    "little room": (lambda: judge_disk(Path("/"), 5 * GB - 1), Health.WARN, "GB free"),
    "no room": (lambda: judge_disk(Path("/"), GB // 2 - 1), Health.WRONG, "0.5 GB free"),
    "a cache": (cache, Health.OK, "0 of 2 MiB in /cache"),
    "a cache that cannot be written": (lambda: cache(is_writable=False), Health.WRONG, "/cache cannot be written"),
    "a cache over its bound": (lambda: cache(size_bytes=3 << 20), Health.WARN, "3 of 2 MiB"),
    "a cache with leftovers": (lambda: cache(leftovers=("trash-1",)), Health.WARN, "processes that died: trash-1"),
}


@pytest.mark.parametrize("case", JUDGED)
def test_a_rule_tells_fine_from_wrong(case: str):
    """With what was found; and what is not fine says what to do."""
    judge, outcome, said = JUDGED[case]
    found = judge()
    assert found.outcome is outcome
    assert said in found.found
    assert (found.todo is None) == (outcome is Health.OK)


def test_older_tables_are_upgraded_and_newer_ones_are_not():
    """A downgrade would lose what the newer ones hold."""
    assert tables("a").todo == "upgrade"
    assert tables("c").todo == "install the version that made them"
    assert tables(None).todo == "make"


def test_whatever_one_look_meets_the_others_are_made():
    """What cannot be read is said, with the error's own hint where it has one."""

    def refused() -> list[Symptom]:
        raise DENIED

    def broken() -> list[Symptom]:
        raise KeyError("a bug\nof ours")

    found = diagnose({"a": refused, "b": broken, "c": lambda: [ok("c1", ""), ok("c2", "")], "d": list})
    assert [(each.name, each.outcome) for each in found] == [
        ("a", Health.WRONG),
        ("b", Health.WRONG),
        ("c1", Health.OK),
        ("c2", Health.OK),
    ]
    assert (found[0].found, found[0].todo) == (DENIED.message, "check the keys")
    assert found[1].found.startswith("cannot be read: KeyError")
    assert "\n" not in found[1].found
