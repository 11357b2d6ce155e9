"""A team's stack for tests: a database, a bucket and the settings that name them; the commands are run on it."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from slipway import command_line
from tests.servers.ceph import CephServer
from tests.servers.postgres import PostgresServer
from tests.servers.processes import environment, free_port

PASSWORD = "correct horse battery"
SECTION = "SLIPWAY_REGISTRY__SERVER__"


@dataclass(frozen=True, kw_only=True)
class Team:
    """A folder without anything, and the variables that tell it of a server; `users` says whether it knows any."""

    folder: Path
    database: str
    bucket: str
    ceph: CephServer
    port: int = field(default_factory=free_port)
    users: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """Return what somebody sets to run this server; the endpoint is in the settings, not in MLflow's variable."""
        keys = {name: value for name, value in self.ceph.environment.items() if name != "MLFLOW_S3_ENDPOINT_URL"}
        settings = {
            "DATABASE": self.database,
            "ARTIFACTS": f"s3://{self.bucket}/models",
            "S3_ENDPOINT": self.ceph.endpoint,
            "PORT": str(self.port),
            "WORKERS": "2",
            "USERS": str(self.users).lower(),
            "ADMIN_PASSWORD": PASSWORD,
        }
        return {**keys, **{f"{SECTION}{name}": value for name, value in settings.items()}}

    def start(self, *words: str, **more: str) -> "subprocess.Popen[str]":
        """Start `slipway` in a process of its own."""
        return start_slipway(words, self.folder, {**self.variables, **more})

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run `slipway` in a process of its own."""
        return run_slipway(words, self.folder, {**self.variables, **more})

    def here(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run `slipway` in this process, which spares the seconds that importing takes."""
        return run_here(words, self.folder, {**self.variables, **more})

    def prepared(self) -> dict[str, bool]:
        """Run init, and return which part was there before."""
        done = self.run("init", "--team", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return {part["name"]: part["was_there"] for part in json.loads(done.stdout)["parts"]}

    def findings(self, **more: str) -> dict[str, dict[str, Any]]:
        """Run doctor, and return its findings by name; it exits with 1 where it says that something is wrong."""
        done = self.here("doctor", "--json", **more)
        document = json.loads(done.stdout)
        assert done.returncode == (0 if document["healthy"] else 1), done.stderr
        return {each["name"]: each for each in document["checks"]}

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table of the database."""
        with psycopg.connect(self.database) as connection:
            tables = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            )
            return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in tables.fetchall()}


def start_slipway(words: Sequence[str], folder: Path, environ: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start `slipway` in a folder, with nothing of MLflow's in its environment but what is given."""
    return subprocess.Popen(
        [sys.executable, "-m", "slipway", *words],
        cwd=folder,
        env=environment(**environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_slipway(words: Sequence[str], folder: Path, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `slipway` so, and return what it said."""
    started = start_slipway(words, folder, environ)
    said, told = started.communicate(timeout=300)
    return subprocess.CompletedProcess(list(words), started.returncode, said, told)


def run_here(words: Sequence[str], folder: Path, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `slipway` in this process as if it were one of its own: its folder, its environment, its streams."""
    said, told, before, within = io.StringIO(), io.StringIO(), dict(os.environ), environment(**environ)
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            os.environ.clear()
            os.environ.update(within)
            code = command_line.run(list(words))
        finally:
            os.environ.clear()
            os.environ.update(before)
    return subprocess.CompletedProcess(list(words), code, said.getvalue(), told.getvalue())


def name_of(database: str) -> str:
    """Return the name of a database in its URL."""
    return database.rpartition("/")[2]


def with_password(postgres: PostgresServer, database: str, user: str, password: str) -> str:
    """Require a password of a new user for a database, as a real server does, and return the URL without any."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE USER \"{user}\" SUPERUSER PASSWORD '{password}'")
        (hba,) = connection.execute("SHOW hba_file").fetchone()
        rule = f"host {name_of(database)} {user} 127.0.0.1/32 scram-sha-256\n"
        Path(hba).write_text(rule + Path(hba).read_text())
        connection.execute("SELECT pg_reload_conf()")
    return database.replace("postgres@", f"{user}@")
