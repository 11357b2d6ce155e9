"""A throw-away Ceph with an S3 gateway for tests: a monitor, an object store in memory, a gateway; no root paths."""

import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.servers.processes import free_port, wait_for

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool")
REGION = "us-east-1"
CONFIGURATION = """[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{monitor_port}
mon_data = {folder}/mon
osd_data = {folder}/osd
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
log_file = {folder}/log/$name.log
mon_cluster_log_file = {folder}/log/cluster.log
keyring = {folder}/keyring
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
auth_allow_insecure_global_id_reclaim = false
osd_objectstore = memstore
memstore_device_bytes = {size_bytes}
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 1
mon_data_avail_crit = 1
osd_crush_chooseleaf_type = 0
osd_class_load_list = *
osd_class_default_list = *
osd_op_num_shards = 2
# These two take the start from 12 s to 1 s.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
# Without a cache no gateway waits for one that was killed, 30 s long, before it changes something.
rgw_cache_enabled = false
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_thread_pool_size = 32
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_usage_max_shards = 1
rgw_gc_max_objs = 1
rgw_lc_max_objs = 1
rgw_enable_ops_log = false
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_s3_auth_use_sts = true
rgw_sts_key = slipwayslipway01
rgw_sts_min_session_duration = 1
"""
CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
}


def is_installed() -> bool:
    """Return whether all of Ceph's programs are here."""
    return all(map(shutil.which, PROGRAMS))


class CephServer:
    """A cluster of its own behind an S3 endpoint; `stop` removes it with all that it stores."""

    def __init__(self, size_bytes: int = 8 << 30) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.access_key, self.secret_key = "slipway", secrets.token_hex(16)
        self._numbers = itertools.count(1)
        self._folder = Path(tempfile.mkdtemp(prefix="slipway-ceph-"))
        self._configuration = self._folder / "ceph.conf"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self._start(size_bytes)
        except BaseException:
            self.stop()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables with which MLflow and boto3 reach this server, and nothing of this machine's own."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def client(self) -> Any:
        """Return boto3's client of the user that owns everything here."""
        return self._client("s3")

    def create_bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"bucket{next(self._numbers)}"
        self.client().create_bucket(Bucket=name)
        return name

    def create_user(self) -> tuple[str, str]:
        """Create a user who owns nothing and may read nothing of others; return access and secret key."""
        name = f"user{next(self._numbers)}"
        self._create_user(name, name, secret := secrets.token_hex(16))
        return name, secret

    def lend_keys(self, seconds: int) -> dict[str, Any]:
        """Return keys with a session token that may do everything, until they expire."""
        trust = _policy({"Principal": {"AWS": ["arn:aws:iam:::user/slipway"]}, "Action": ["sts:AssumeRole"]})
        rights = _policy({"Action": ["s3:*"], "Resource": "arn:aws:s3:::*"})
        role = f"role{next(self._numbers)}"
        self._run("radosgw-admin", "role", "create", f"--role-name={role}", f"--assume-role-policy-doc={trust}")
        self._run(
            "radosgw-admin", "role-policy", "put", f"--role-name={role}", "--policy-name=all", "--policy-doc", rights
        )
        lent = self._client("sts").assume_role(
            RoleArn=f"arn:aws:iam:::role/{role}", RoleSessionName="test", DurationSeconds=seconds
        )
        keys: dict[str, Any] = lent["Credentials"]
        return keys

    def allow(self, user: str, bucket: str, *actions: str) -> None:
        """Let a user do something in a bucket."""
        policy = _policy(
            {
                "Principal": {"AWS": f"arn:aws:iam:::user/{user}"},
                "Action": list(actions),
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
        )
        self.client().put_bucket_policy(Bucket=bucket, Policy=policy)

    def delete_key(self, access_key: str) -> None:
        """Take a user's key away, as an administrator does who revokes it."""
        self._run("radosgw-admin", "key", "rm", f"--access-key={access_key}", "--key-type=s3", f"--uid={access_key}")

    def bytes_sent(self) -> int:
        """Return how many bytes of objects the gateway has sent since it was started."""
        return int(json.loads(self._tell_gateway("perf", "dump"))["rgw"]["get_b"])

    def collect_garbage(self) -> None:
        """Remove what was overwritten or deleted, which the gateway would keep for hours."""
        self._run("radosgw-admin", "gc", "process", "--include-all")

    def answer_at_once(self, requests: int) -> None:
        """Have the gateway answer no more requests at a time: others get 503 SlowDown."""
        self._tell_gateway("config", "set", "rgw_max_concurrent_requests", str(requests))

    def kill_gateway(self) -> None:
        """End the gateway at once, in the middle of whatever it sends; what it stored stays."""
        gateway = self._running.pop("radosgw")
        gateway.kill()
        gateway.wait()

    def start_gateway(self) -> None:
        """Start the gateway and wait until it answers."""
        self._spawn("radosgw", "-n", "client.rgw")
        wait_for(self._answers, within_s=60, log=self._folder / "log" / "radosgw.out")

    def freeze_gateway(self) -> None:
        """Let the gateway keep its connections and say nothing."""
        self._running["radosgw"].send_signal(signal.SIGSTOP)

    def thaw_gateway(self) -> None:
        """Let the gateway go on."""
        self._running["radosgw"].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the cluster and remove what it stored."""
        for running in self._running.values():
            running.kill()
            running.wait()
        shutil.rmtree(self._folder)

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            # RGW lends keys for seconds, which boto3 would not even ask for.
            config=Config(max_pool_connections=32, retries={"max_attempts": 1}, parameter_validation=False),
        )

    def _start(self, size_bytes: int) -> None:
        monitor_port = free_port()
        for name in ("mon", "osd", "run", "log"):
            (self._folder / name).mkdir()
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        self._configuration.write_text(
            CONFIGURATION.format(
                fsid=fsid, folder=self._folder, monitor_port=monitor_port, port=self.port, size_bytes=size_bytes
            )
        )
        keyring, monmap = str(self._folder / "keyring"), str(self._folder / "monmap")
        self._execute("ceph-authtool", "--create-keyring", keyring)
        for name, allowed in CAPABILITIES.items():
            granted = [word for pair in allowed.items() for word in ("--cap", *pair)]
            self._execute("ceph-authtool", keyring, "--gen-key", "-n", name, *granted)
        address = f"[v2:127.0.0.1:{monitor_port}]"
        self._execute("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)
        self._spawn("ceph-mon", "-i", "a")
        self._run("ceph", "--connect-timeout", "20", "osd", "new", osd)
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "host=lab", "root=default")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-i", "0")
        self.start_gateway()
        self._create_user("slipway", self.access_key, self.secret_key)

    def _create_user(self, name: str, access_key: str, secret_key: str) -> None:
        keys = (f"--access-key={access_key}", f"--secret-key={secret_key}")
        self._run("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}", *keys)

    def _answers(self) -> bool:
        if self._running["radosgw"].poll() is not None:
            said = (self._folder / "log" / "client.rgw.log").read_text()[-2000:]
            raise RuntimeError(f"the gateway ended: {said}")
        try:
            urllib.request.urlopen(self.endpoint, timeout=1).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def _tell_gateway(self, *words: str) -> str:
        return self._run("ceph", "--admin-daemon", str(self._folder / "run" / "client.rgw.asok"), *words)

    def _run(self, program: str, *words: str) -> str:
        """Run one of Ceph's programs on this cluster and return what it says."""
        return self._execute(program, "-c", str(self._configuration), *words)

    def _execute(self, *words: str) -> str:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed: {done.stderr[-2000:]}")
        return done.stdout

    def _spawn(self, program: str, *words: str) -> None:
        """Start a daemon in the foreground, in a session of its own, so that an interrupt of the tests spares it."""
        with (self._folder / "log" / f"{program}.out").open("wb") as output:
            self._running[program] = subprocess.Popen(
                [program, "-c", str(self._configuration), *words, "-f"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )


def _policy(allowed: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **allowed}]})
