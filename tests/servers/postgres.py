"""A throw-away PostgreSQL for tests: started on a free loopback port, stopped with all that is in it."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.servers.processes import free_port, process, wait_for

INSTALLED = Path("/usr/lib/postgresql")
SUPERUSER = "postgres"


def binaries() -> Path | None:
    """Return the folder with the newest PostgreSQL's programs, or `None` where none is installed."""
    debian = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


class PostgresServer:
    """A server of its own, without passwords and without fsync; `stop` removes it."""

    def __init__(self, programs: Path) -> None:
        self.port = free_port()
        self._programs = programs
        self._numbers = itertools.count(1)
        self._folder = Path(tempfile.mkdtemp(prefix="slipway-postgres-"))
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            owner = pwd.getpwnam(SUPERUSER)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        options = ("-U", SUPERUSER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        self._run("initdb", *options)
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=500"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", settings, "start")

    def shut_down(self) -> None:
        """End the server at once, with its connections; what was committed is there after `start`."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def stop(self) -> None:
        """End the server and remove what it stored."""
        try:
            self.shut_down()
        finally:
            shutil.rmtree(self._folder)

    def create_database(self, template: str = "template1") -> str:
        """Create a database, empty or as a copy of another, and return its URL."""
        name = f"db{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def cut_connections(self, database: str) -> None:
        """End every connection to a database, as a network that fails would."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))

    def url(self, database: str) -> str:
        """Return the URL of a database here."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *options: str) -> None:
        """Run a program on the server's folder; its output goes to a file, which a server that it starts keeps."""
        words = [str(self._programs / program), "-D", str(self._folder / "data"), *options]
        as_owner = ["runuser", "-u", SUPERUSER, "--"] if os.geteuid() == 0 else []
        said = self._folder / "said"
        with said.open("wb") as output:
            done = subprocess.run(
                [*as_owner, *words], stdout=output, stderr=subprocess.STDOUT, check=False, cwd=self._folder
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {said.read_text()[-2000:]}")


@contextmanager
def pooled(server: PostgresServer, database: str, *, size: int, folder: Path) -> Iterator[str]:
    """Put PgBouncer in transaction mode before a database, with so many sessions; yield the URL that leads there."""
    port, name = free_port(), database.rpartition("/")[2]
    (folder / "users").write_text(f'"{SUPERUSER}" ""\n')
    (folder / "pool.ini").write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={server.port} dbname={name}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\nauth_file = {folder}/users\n"
        f"pool_mode = transaction\ndefault_pool_size = {size}\nunix_socket_dir =\n"
    )
    words = ["pgbouncer", str(folder / "pool.ini")]
    if os.geteuid() == 0:  # it refuses to run as root, too
        owner = pwd.getpwnam(SUPERUSER)
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        words = ["runuser", "-u", SUPERUSER, "--", *words]
    with process(*words, folder=Path("/"), log=folder / "log"):
        url = f"postgresql://{SUPERUSER}@127.0.0.1:{port}/{name}"
        wait_for(lambda: connects(url), within_s=30)
        yield url


def connects(url: str) -> bool:
    """Return whether a database answers."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
