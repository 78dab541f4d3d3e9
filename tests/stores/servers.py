"""Database servers that a test starts itself, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.stores.certificates import Certificates

PASSWORD = "p@ss/w:rd"  # noqa: S105 - of servers that live as long as a test
_PATIENCE_SECONDS = 120
_READY = re.compile(rb"ready to accept connections|ready for connections")
_POSTGRESQL_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def program(name: str) -> str | None:
    """The path of a server's program; None where it is not on the machine."""
    places = [*map(str, _POSTGRESQL_PROGRAMS), "/usr/sbin", os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(places))


needs_postgresql = pytest.mark.skipif(
    program("initdb") is None or program("postgres") is None,
    reason="PostgreSQL's programs are not on this machine (Debian: postgresql)",
)
needs_mariadb = pytest.mark.skipif(
    program("mariadbd") is None or program("mariadb-install-db") is None,
    reason="MariaDB's programs are not on this machine (Debian: mariadb-server)",
)


@contextlib.contextmanager
def postgresql(tls: Certificates | None = None) -> Iterator[int]:
    """A PostgreSQL server on 127.0.0.1 with the user ``mlmd`` and PASSWORD; its port.

    With certificates it answers over TLS, too; the user ``careful_tls`` needs one.
    """
    with _folder() as (folder, command):
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data, port = folder / "data", _free_port()
        subprocess.run(
            [*command, str(program("initdb")), "-D", str(data), "-U", "mlmd", "-A", "scram-sha-256",
             f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        arguments = ["-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1", "-F"]
        if tls is not None:
            certificate, key, authority = _own(tls, folder)
            arguments += [
                "-cssl=on", f"-cssl_cert_file={certificate}", f"-cssl_key_file={key}",
                f"-cssl_ca_file={authority}",
            ]  # fmt: skip
            (data / "pg_hba.conf").write_text(
                "hostssl all careful_tls all scram-sha-256 clientcert=verify-ca\n"
                "hostnossl all careful_tls all reject\n"
                "host all all all scram-sha-256\n"
            )
        with _running([*command, str(program("postgres")), *arguments], folder, signal.SIGINT):
            yield port


@contextlib.contextmanager
def mariadb(tls: Certificates | None = None) -> Iterator[int]:
    """A MariaDB server on 127.0.0.1 with the user ``mlmd`` and PASSWORD; its port.

    With certificates it answers over TLS, too; the user ``careful_tls`` needs one.
    """
    with _folder() as (folder, command):
        data, port = folder / "data", _free_port()
        subprocess.run(
            [*command, str(program("mariadb-install-db")), "--no-defaults", f"--datadir={data}",
             "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        first = folder / "first.sql"
        first.write_text(
            f"CREATE USER 'mlmd'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'mlmd'@'%' WITH GRANT OPTION;\n"
        )
        first.chmod(0o644)
        arguments = [
            "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
            f"--socket={folder}/socket", f"--init-file={first}", f"--pid-file={folder}/pid",
            "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0",
        ]  # fmt: skip
        if tls is not None:
            certificate, key, authority = _own(tls, folder)
            arguments += [
                f"--ssl-ca={authority}", f"--ssl-cert={certificate}", f"--ssl-key={key}",
            ]  # fmt: skip
        with _running([*command, str(program("mariadbd")), *arguments], folder, signal.SIGTERM):
            yield port


def _own(tls: Certificates, folder: Path) -> list[Path]:
    """Certificate, key and authority as copies that the server alone may read.

    Both servers ask that of a key; the tests' own folders are closed to other users.
    """
    copies = []
    owner = folder.stat()
    for path in (tls.server, tls.server_key, tls.authority):
        copy = folder / path.name
        shutil.copy(path, copy)
        os.chown(copy, owner.st_uid, owner.st_gid)
        copy.chmod(0o600)
        copies.append(copy)
    return copies


@contextlib.contextmanager
def _folder() -> Iterator[tuple[Path, Sequence[str]]]:
    """A folder for a server, and how to start its programs: neither runs as root."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command: Sequence[str] = ()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            command = (
                "setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
            )  # fmt: skip
        yield folder, command


@contextlib.contextmanager
def _running(command: Sequence[str], folder: Path, stop: signal.Signals) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(process, folder / "log")
        yield
    finally:
        process.send_signal(stop)
        process.wait(_PATIENCE_SECONDS)


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server says that it is ready; PostgreSQL lets nobody in for a while before."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if _READY.search(log.read_bytes()):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
