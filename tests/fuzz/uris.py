"""Names of stores, with a password in them: misspelt, or of parts that do not go together."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from tests.fuzz import inputs

PASSWORD: Final = "s3cretPassw0rd"  # noqa: S105 - looked for in everything that is printed
_SCHEMES: Final = (
    *("mysql", "mariadb", "postgres", "postgresql", "grpc", "kfp+http", "kfp+https", "MYSQL"),
    *("mysql+mlmd", "postgresql+mlmd", "grpc+mlmd", "sqlite", "sqlite+mlmd", "file", "gs", "s3"),
    *("hdfs", "http", "", "kfp", "mysql+", "sqlite+mlmd+mlmd", "jdbc:mysql"),
)
_LOGINS: Final = (
    *("", f"user:{PASSWORD}@", f"user:{PASSWORD}:@", f":{PASSWORD}@", f"us@er:{PASSWORD}@"),
    *(f"user:a:b@c:{PASSWORD}@", f"{PASSWORD}:x@y@", f"user:x@{PASSWORD}:y@"),
)
_HOSTS: Final = (
    *("127.0.0.1:1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1", "[::1]:1", "[::1", "", ":1"),
    *("xn--\u00fc:1", "a" * 300, "127.0.0.1:1:1", "..", "%31", "127.0.0.1:1\t", "127.0.0.1:\u0661"),
)
_PATHS: Final = (
    *("", "/", "/db", "/db/x", "//db", "/%00", "/%zz", "/\0", "/db;x", "/" + "a" * 5_000),
    *("/\ud800", "/dev/null", "/~nobody-here/x", "/\u202edb", "/-"),
)
_QUERIES: Final = (
    *("", "?", "?x=1", "?tls_ca=/nowhere", "?tls_ca=", "?connect_timeout=nan", "#x"),
    *(
        "?connect_timeout=1e999",
        "?connect_timeout=-1",
        "?statement_timeout=0",
        "?tls_ca=a&tls_ca=b",
    ),
    *(f"?password={PASSWORD}", "?namespace=%0a", "?namespace=a&experiment=\x1b[2J"),
)
_COLONS: Final = ("://", "://", "://", ":/", ":", "//", ":///")


def uri(randomness: random.Random, folder: Path) -> inputs.Trials:
    """A URI with a password in it, of a known or unknown scheme, somehow misspelt."""
    del folder
    scheme = randomness.choice(
        ("mysql", "postgresql", "grpc", "kfp+http", "mysql+mlmd", "ftp", "mysql:", "")
    )
    text = f"{scheme}://user:{PASSWORD}@127.0.0.1:1/db?x=%zz"
    letters = list(text)
    for _ in range(randomness.choice((0, 1, 1, 2, 3))):
        at = randomness.randrange(len(letters))
        if text.find(PASSWORD) <= at < text.find(PASSWORD) + len(PASSWORD):
            continue  # a password that is another one is no secret of ours
        letters[at] = randomness.choice(("", "/", ":", "@", "?", "#", "%", "\0", "é", " ", "//"))
    misspelt = "".join(letters)
    if f":{PASSWORD}" not in misspelt and f"{PASSWORD}@" not in misspelt:
        misspelt = misspelt.replace(PASSWORD, "")  # nothing tells it from the name of a host
    return [["segment", misspelt]]


def place(randomness: random.Random, folder: Path) -> inputs.Trials:
    """The name of a store of any scheme, or of none, made of parts that do not go together."""
    parts = (_SCHEMES, _COLONS, _LOGINS, _HOSTS, (*_PATHS, str(folder)), _QUERIES)
    named = "".join(randomness.choice(some) for some in parts)
    return [["segment", named], ["archive", named, "--output", str(folder / "kept")]]
