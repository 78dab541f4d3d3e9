"""URIs of servers, and what of them may be shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.stores.mlmd_files import write_store
from tests.stores.readers import needs_mlmd
from tests.strategies import deterministic
from tfx_graphlets.cli import main
from tfx_graphlets.errors import (
    GraphletsError,
    InvalidArgumentError,
    StoreError,
    StoreNotFoundError,
)
from tfx_graphlets.stores import uris
from tfx_graphlets.stores.kubeflow.client import parse_address
from tfx_graphlets.stores.sql import server_store
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.stores.uris import (
    KFP_SCHEMES,
    PASSWORD_FILE_VARIABLE,
    PASSWORD_VARIABLE,
    may_hold_password,
    parse_server,
)

SECRET = "p@ss/w0rd"  # noqa: S105 - looked for in what is shown


def test_a_uri_is_taken_apart() -> None:
    """Host, port, database and the decoded user and password are found."""
    server = parse_server("mysql://me%40here:p%40ss%2Fw0rd@db.example:3307/mlmd", {})
    assert (server.backend, server.host, server.port) == ("mysql", "db.example", 3307)
    assert (server.database, server.user, server.password) == ("mlmd", "me@here", SECRET)
    assert server.name == "mysql://db.example:3307/mlmd"


def test_ports_have_defaults() -> None:
    """The backends' usual ports count where none is named."""
    ports = [
        parse_server(uri, {}).port
        for uri in ("mariadb://h/d", "postgres://h/d", "postgresql://h/d", "grpc://h")
    ]
    assert ports == [3306, 5432, 5432, 8080]


def test_the_password_may_stand_in_the_environment() -> None:
    """The variable counts where the URI holds no password."""
    environment = {PASSWORD_VARIABLE: SECRET}
    assert parse_server("mysql://me@h/d", environment).password == SECRET
    assert parse_server("mysql://me:other@h/d", environment).password == "other"  # noqa: S105
    assert parse_server("grpc://h:1", environment).password == ""


def test_the_password_may_stand_in_a_file(tmp_path: Path) -> None:
    """A mounted secret: it counts where neither URI nor variable holds one; the line's end not."""
    secret = tmp_path / "secret"
    secret.write_text(f" {SECRET} \r\n")
    environment = {PASSWORD_FILE_VARIABLE: str(secret)}
    for scheme in ("mysql", "postgresql"):
        assert parse_server(f"{scheme}://me@h/d", environment).password == f" {SECRET} "
    assert parse_server("mysql://me:other@h/d", environment).password == "other"  # noqa: S105
    both = {**environment, PASSWORD_VARIABLE: "first"}
    assert parse_server("mysql://me@h/d", both).password == "first"  # noqa: S105
    gone = {PASSWORD_FILE_VARIABLE: str(tmp_path / "gone")}
    assert parse_server("grpc://h:1", gone).password == ""
    assert parse_server("mysql://me:other@h/d", gone).password == "other"  # noqa: S105


@pytest.mark.parametrize("content", [None, b"", b"\n", b"p\xffssword"])
def test_a_passwords_file_that_cannot_be_used_is_named(
    content: bytes | None, tmp_path: Path
) -> None:
    """The error names the variable and the file, and shows nothing of what it holds."""
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=PASSWORD_FILE_VARIABLE) as caught:
        parse_server("postgresql://me@h/d", {PASSWORD_FILE_VARIABLE: str(secret)})
    assert str(secret) in str(caught.value)
    assert "ssword'" not in f"{caught.value} {caught.value.__cause__!r}"


def test_a_server_shows_no_password() -> None:
    """Neither its name nor its repr holds it, and it is taken out of texts."""
    server = parse_server("mysql://me@h/d", {PASSWORD_VARIABLE: SECRET})
    assert SECRET not in repr(server) + server.name
    assert server.without_secrets(f"denied for {SECRET}!") == "denied for ***!"


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://me:secret@host", "mysql://me:secret@/db", "mysql://me:secret@host:port/db",
        "mysql://me:se/cret@host/db", "mysql://me:secret@host/db?password=secret",
        "mysql://me:secret@host/db/more", "grpc://me:secret@host:1/db",
        "mysql://me:sec#ret@host/db", "mysql://me:secret@[::1/db",
    ],
)  # fmt: skip
def test_a_misspelt_uri_shows_no_password(uri: str) -> None:
    """The error shows the URI without user and password, also through what caused it."""
    with pytest.raises(InvalidArgumentError) as caught:
        parse_server(uri, {})
    shown = f"{caught.value} {caught.value.__cause__}"
    assert "secret" not in shown
    assert "cret" not in shown.replace("secret", "")
    assert "me" not in uris.redacted(uri)


needs_columns = pytest.mark.skipif(
    not server_store.is_installed(), reason="connectorx is not installed"
)


@needs_mlmd
@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("grpc://127.0.0.1:9", StoreNotFoundError),
        ("mysql+mlmd://me:hidden@127.0.0.1:9/db", StoreNotFoundError),
        ("postgresql+mlmd://me:hidden@127.0.0.1:9/db", StoreNotFoundError),
        pytest.param("mysql://me:hidden@127.0.0.1:9/db", StoreNotFoundError, marks=needs_columns),
        pytest.param(
            "postgresql://me:hidden@127.0.0.1:9/db", StoreNotFoundError, marks=needs_columns
        ),
    ],
)
def test_a_server_that_is_not_there(uri: str, kind: type[StoreError]) -> None:
    """Nobody answers: one clear error, without the password."""
    with pytest.raises(kind) as caught:
        open_store(uri)
    assert type(caught.value) is kind
    assert "127.0.0.1:9" in str(caught.value)
    assert "hidden" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert "\n" not in str(caught.value)


@needs_mlmd
def test_the_connection_is_not_logged(tmp_path: Path) -> None:
    """At DEBUG, ml-metadata would log the connection with its password; the level comes back."""
    from absl import logging as absl_logging

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger, verbosity = logging.getLogger("absl"), absl_logging.get_verbosity()
    logger.addHandler(handler)
    absl_logging.set_verbosity(absl_logging.DEBUG)
    try:
        open_store(f"sqlite+mlmd://{write_store(tmp_path / 'store.sqlite')}").close()
        assert absl_logging.get_verbosity() == absl_logging.DEBUG
    finally:
        absl_logging.set_verbosity(verbosity)
        logger.removeHandler(handler)
    assert not [line for line in lines if "ConnectionConfig" in line]


# -- whatever is misspelt ------------------------------------------------------------

HIDDEN = "s3cretPassw0rd"
_SPELLINGS = (
    "",
    "/",
    "//",
    ":",
    "@",
    "?",
    "#",
    "%",
    "[",
    "\\",
    "~",
    "\0",
    "é",
    " ",
    "\n",
    "=",
    "1",
)


@st.composite
def misspelt(draw: st.DrawFn) -> str:
    """A URI with HIDDEN behind a colon or before an at sign, everything else misspelt at will."""
    scheme = draw(
        st.sampled_from(
            ("mysql://", "postgresql://", "mysql+mlmd://", "grpc://", "kfp+http://", "ftp://",
             "sqlite://", "sqlite+mlmd://", "file://", "://", "mysql:", "~", "")
        )
    )  # fmt: skip
    before = list(f"{scheme}user:")
    after = list("@127.0.0.1:1/db?x=%zz")
    for letters in (before, after):
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(letters) - 1))
            letters[at] = draw(st.sampled_from(_SPELLINGS))
    head, tail = "".join(before), "".join(after)
    # Where both marks are lost it is a host's name, or a file's.
    assume(head.endswith(":") or "@" in tail)
    return f"{head}{HIDDEN}{tail}"


@settings(deterministic, max_examples=600)
@given(text=misspelt())
@example(text=f"mysql://user/{HIDDEN}@127.0.0.1:1")
@example(text=f"kfp+http://user/{HIDDEN}@127.0.0.1:1/db")
@example(text=f"my?sql://user:{HIDDEN}@127.0.0.1:1/db?x=%zz")
@example(text=f"://user:{HIDDEN}@127.0.0.1:1/db")
@example(text=f"sqlite+mlmd://user:{HIDDEN}@127.0.0.1:1/db")
@example(text=f"postgresql://user{HIDDEN}@127.0.0.1:1/dbx=%zz")
def test_whatever_is_misspelt_the_password_is_nowhere(text: str) -> None:
    """Not in an error, its causes or its attributes, nor in what may be shown of the URI."""
    assert HIDDEN not in uris.redacted(text)
    # Where the colon is lost, the server would take all of it for the user's name.
    is_name = not set(":/?#") & set(text.partition("://")[2].rpartition("@")[0])
    is_server = text.startswith(("mysql://", "postgresql://"))
    assert may_hold_password(text) or is_name or not is_server
    try:
        scheme = text.partition("://")[0].lower()
        if scheme in uris.SERVER_SCHEMES:
            server = parse_server(text, {})
            assert HIDDEN not in server.name + repr(server)
            # A server repeats what it was sent.
            told = f"denied for '{server.user}' ({server.password})"
            assert HIDDEN not in server.without_secrets(told)
        elif scheme in KFP_SCHEMES:
            address = parse_address(text, {})
            assert HIDDEN not in address.name + repr(address)
        else:
            open_store(text)
    except (GraphletsError, OSError) as error:
        said = [f"{one} {one!r} {vars(one)}" for one in _causes(error)]
        assert HIDDEN not in " ".join(said)


@pytest.mark.parametrize("scheme", ["mysql://", "postgresql+mlmd://", "mysql:/", "my?sql://", ""])
@pytest.mark.parametrize("password", ["se:c@HIDDEN", "s@e:c@HIDDEN", "@:HIDDEN", "s@HIDDEN:x"])
@pytest.mark.parametrize("mark", ["@", "/", "%", "#", "?", " ", "@@", "@:", "/@"])
def test_a_password_with_marks_of_a_uri_is_not_shown(scheme: str, password: str, mark: str) -> None:
    """However the at sign behind it is misspelt: which of them ends the password nobody knows."""
    text = f"{scheme}me:{password}{mark}host:1/db"
    assert "HIDDEN" not in uris.redacted(text)
    with pytest.raises((GraphletsError, OSError)) as caught:
        open_store(text)
    assert "HIDDEN" not in "".join(f"{one} {one!r}" for one in _causes(caught.value))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize(
    "words",
    [
        ["segment", f"mysql:/u:{HIDDEN}@h/db"],
        ["segment", "x.sqlite", f"mysql://u:{HIDDEN}@h/db"],
        [f"mysql://u:{HIDDEN}@h/db", "segment"],
        ["segment", "x.sqlite", f"--pipelin=mysql://u:{HIDDEN}@h/db"],
        ["features", "x.sqlite", "--output", "y.csv", "--stage", f"mysql://u:{HIDDEN}@h/db"],
        ["evaluate", f"mysql://u:{HIDDEN}@h/db", "x.sqlite"],
        ["segment", f"mysql://u:{HIDDEN}@h/db\n", "--format", "json"],
        ["archive", "x.sqlite", "--output", f"mysql://u:{HIDDEN}@h/db"],
    ],
)
def test_the_command_line_repeats_no_password(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A URI in the place of another word is not repeated either."""
    monkeypatch.chdir(tmp_path)
    try:
        code = main(words)
    except SystemExit as stopped:
        code = int(str(stopped.code))
    assert code in (1, 2)
    assert HIDDEN not in "".join(capfd.readouterr())
