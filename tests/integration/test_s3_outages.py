"""A real object store that stops, stalls, throttles, refuses or loses things while a model is downloaded."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import pytest

from slipway.registry.artifacts.s3_attempts import Patience
from slipway.registry.errors import Corrupt, NotFound, Unavailable
from slipway.registry.manifest import manifest_of
from tests.servers.ceph import CephServer
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.processes import wait_for
from tests.servers.stored_in_s3 import LARGE_BYTES, MB, Stored, gets, on_get


def test_a_download_goes_on_when_the_store_is_back(proxy: CuttingProxy, stored: Stored):
    """The store was killed in the middle; what had come is not fetched again, and nobody takes it for whole."""
    on_get(proxy, 3, stored.server.kill_gateway)
    proxy.cut_after(10 * MB, times=3)
    with pytest.raises(Unavailable, match="downloading s3://") as caught:
        stored.download()
    assert caught.value.code == "s3-unavailable"
    assert "MLFLOW_S3_ENDPOINT_URL" in str(caught.value.hint)
    assert manifest_of(stored.into) != stored.manifest
    stored.server.start_gateway()
    before = len(gets(proxy))
    stored.download()
    assert stored.is_whole()
    assert len(gets(proxy)) - before < 3 + 6


def test_a_download_outlasts_a_store_that_restarts(proxy: CuttingProxy, stored: Stored):
    """Whoever asked does not notice."""

    def restart() -> None:
        stored.server.kill_gateway()
        stored.server.start_gateway()

    on_get(proxy, 2, restart)
    stored.download(Patience())
    assert stored.is_whole()


def test_broken_connections_cost_only_what_was_lost(proxy: CuttingProxy, stored: Stored):
    """A range goes on from the byte that it had reached."""
    proxy.cut_after(5 * MB, times=6)
    stored.download()
    assert stored.is_whole()
    assert proxy.bytes_back < LARGE_BYTES + 2 * MB


@pytest.fixture
def frozen(stored: Stored) -> Iterator[CephServer]:
    """Return the server, to be frozen, and thaw it afterwards."""
    yield stored.server
    stored.server.thaw_gateway()


def test_a_store_that_says_nothing_makes_nobody_hang(proxy: CuttingProxy, stored: Stored, frozen: CephServer):
    """Its connections stay open, and no byte comes."""
    on_get(proxy, 2, frozen.freeze_gateway)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="downloading s3://") as caught:
        stored.download()
    assert caught.value.code == "s3-unavailable"
    assert time.monotonic() - started < 15
    frozen.thaw_gateway()
    stored.download()
    assert stored.is_whole()


def test_bytes_that_trickle_end_in_time(proxy: CuttingProxy, stored: Stored):
    """There is always one more byte, and never the model."""
    on_get(proxy, 1, lambda: setattr(proxy, "trickles", True))
    with pytest.raises(Unavailable, match="was not done within 2 s"):
        stored.download(Patience(total_s=2))


@pytest.fixture
def throttling(stored: Stored) -> Iterator[CephServer]:
    """Return a server that answers one request at a time, and has all others slow down."""
    stored.server.answer_at_once(1)
    yield stored.server
    stored.server.answer_at_once(1024)


def test_throttling_is_waited_out(throttling: CephServer, proxy: CuttingProxy, stored: Stored):
    """The store asks to slow down, and that is done."""
    stored.download(Patience())
    assert stored.is_whole()
    assert len(gets(proxy)) > 3 + 5, "some were asked for again"


def test_throttling_without_end_is_said(throttling: CephServer, stored: Stored):
    """After nothing has come for as long as patience lasts: somebody else takes all that the store can do."""
    other = throttling.client().get_object(**stored.key("data/weights"))["Body"]
    with pytest.raises(Unavailable, match="SlowDown") as caught:
        stored.download()
    other.close()
    assert (caught.value.code, caught.value.hint) == ("s3-throttled", "wait, then retry")


def test_a_file_that_is_overwritten_meanwhile_is_noticed(proxy: CuttingProxy, stored: Stored):
    """No mixture of two files is ever taken for one."""
    other = Random(1).randbytes(LARGE_BYTES)
    on_get(proxy, 2, lambda: stored.server.client().put_object(**stored.key("data/weights"), Body=other))
    with pytest.raises(Corrupt, match="PreconditionFailed") as caught:
        stored.download()
    assert caught.value.code == "artifacts-changed"


def test_a_file_that_is_deleted_meanwhile_is_said(proxy: CuttingProxy, stored: Stored):
    """It was listed, and is gone."""
    on_get(proxy, 1, lambda: stored.server.client().delete_object(**stored.key("data/weights")))
    with pytest.raises(NotFound, match="NoSuchKey"):
        stored.download()


@pytest.mark.parametrize("of", ["list-type", "weights"])
def test_a_bucket_that_vanishes_is_no_missing_file(proxy: CuttingProxy, stored: Stored, of: str):
    """It says nothing about the model, before the download or in its middle: the candidate must not fail for it."""
    client = stored.server.client()

    def vanish() -> None:
        for found in client.list_objects_v2(Bucket=stored.bucket)["Contents"]:
            client.delete_object(Bucket=stored.bucket, Key=found["Key"])
        client.delete_bucket(Bucket=stored.bucket)

    on_get(proxy, 1, vanish, of=of)
    with pytest.raises(Unavailable, match="NoSuchBucket") as caught:
        stored.download()
    assert caught.value.code == "s3-no-bucket"
    assert "restore the bucket" in str(caught.value.hint)


def test_nobody_who_listens_is_said(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    """With the address that was tried."""
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1") as caught:
        stored.download()
    assert caught.value.code == "s3-unavailable"


def wrong_key(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a key that nobody has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")


def wrong_secret(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a secret that does not belong to the key."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")


def stranger(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use keys of somebody who may not read here."""
    access_key, secret = server.create_user()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def no_keys(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no keys at all."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(
    ("lose", "code"),
    [
        (wrong_key, "s3-credentials-refused"),
        (wrong_secret, "s3-credentials-refused"),
        (stranger, "s3-credentials-refused"),
        (no_keys, "s3-no-credentials"),
    ],
)
def test_wrong_credentials_are_no_fault_of_the_model(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, lose: Callable[..., None], code: str
):
    """They are said at once, with the variables to look at."""
    lose(stored.server, monkeypatch)
    with pytest.raises(Unavailable) as caught:
        stored.download()
    assert caught.value.code == code
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


def test_credentials_that_end_meanwhile_are_said(proxy: CuttingProxy, stored: Stored, monkeypatch: pytest.MonkeyPatch):
    """A key was taken away in the middle of a download; with another one it goes on."""
    access_key, secret = stored.server.create_user()
    stored.server.allow(access_key, stored.bucket, "s3:ListBucket", "s3:GetObject")
    on_get(proxy, 2, lambda: stored.server.delete_key(access_key))
    with monkeypatch.context() as theirs:
        theirs.setenv("AWS_ACCESS_KEY_ID", access_key)
        theirs.setenv("AWS_SECRET_ACCESS_KEY", secret)
        with pytest.raises(Unavailable, match="downloading s3://") as caught:
            stored.download()
    assert caught.value.code == "s3-credentials-refused"
    stored.download()
    assert stored.is_whole()


def test_a_session_that_ends_meanwhile_is_said(proxy: CuttingProxy, stored: Stored, monkeypatch: pytest.MonkeyPatch):
    """Keys were lent for two seconds; to Ceph expired keys are as any that it refuses."""
    lent = stored.server.lend_keys(2)
    ended = partial(wait_for, lambda: datetime.now(UTC) > lent["Expiration"] + timedelta(seconds=1), within_s=10)
    on_get(proxy, 2, ended)
    with monkeypatch.context() as theirs:
        theirs.setenv("AWS_ACCESS_KEY_ID", lent["AccessKeyId"])
        theirs.setenv("AWS_SECRET_ACCESS_KEY", lent["SecretAccessKey"])
        theirs.setenv("AWS_SESSION_TOKEN", lent["SessionToken"])
        with pytest.raises(Unavailable, match="AccessDenied") as caught:
            stored.download(Patience(read_s=10, stalled_s=10))
    assert "AWS_SESSION_TOKEN, which ends" in str(caught.value.hint)
    stored.download()
    assert stored.is_whole()


def test_keys_that_amazon_calls_expired_are_to_be_renewed(proxy: CuttingProxy, stored: Stored):
    """Trying again would not help, and is not done."""
    proxy.refuse(1, status="400 Bad Request", body=b"<Error><Code>ExpiredToken</Code></Error>")
    with pytest.raises(Unavailable, match="ExpiredToken") as caught:
        stored.download()
    assert caught.value.code == "s3-credentials-expired"
    assert len(proxy.requests) == 1
