"""Certificates of a made-up authority, for servers and clients of a test."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not on this machine"
)


@dataclasses.dataclass(frozen=True)
class Certificates:
    """Files in PEM: an authority, a stranger to it, and what the first has signed.

    Attributes:
      authority: certificate of the authority.
      stranger: certificate of another authority, which has signed nothing.
      server, server_key: of a server at 127.0.0.1 and localhost.
      client, client_key: of the client ``mlmd``.
    """

    authority: Path
    stranger: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def made_in(folder: Path) -> Certificates:
    """Makes them in a folder; each lives a day."""
    for name in ("authority", "stranger"):
        _openssl(
            folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip
    for name, subject in (("server", "localhost"), ("client", "mlmd")):
        _openssl(
            folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}",
            "-keyout", f"{name}.key", "-out", f"{name}.request",
        )  # fmt: skip
        extension = folder / f"{name}.extension"
        extension.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.request", "-days", "1", "-CA", "authority.pem",
            "-CAkey", "authority.key", "-CAcreateserial", "-extfile", extension.name,
            "-out", f"{name}.pem",
        )  # fmt: skip
    for path in folder.iterdir():
        path.chmod(0o644)
    return Certificates(
        *(
            folder / name
            for name in (
                "authority.pem", "stranger.pem", "server.pem", "server.key", "client.pem",
                "client.key",
            )
        )
    )  # fmt: skip


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
