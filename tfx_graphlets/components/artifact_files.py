"""Files of artifacts, through TFX's fileio, so that a URI may be a bucket.

Every file is written to a temporary name first and then renamed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from absl import logging
from tfx.v1.dsl.io import fileio

from tfx_graphlets.files import scratch_directory
from tfx_graphlets.stores.kubeflow.address import SCHEMES as KFP_SCHEMES
from tfx_graphlets.stores.uris import SERVER_SCHEMES
from tfx_graphlets.supervision.parent import Limits, in_thread

_DRAFT = ".draft"
# What open_store opens itself; any other scheme is a file system.
_STORE_SCHEMES = ("sqlite", "file", *SERVER_SCHEMES, *KFP_SCHEMES)


def write_files(uri: str, files: Mapping[str, bytes]) -> None:
    """Writes the files below ``uri``, in the order given; makes the directory.

    Args:
      uri: an artifact's.
      files: content by name relative to ``uri``, ``/`` between its parts.
    """
    for name, content in files.items():
        target = _below(uri, name)
        fileio.makedirs(target.rpartition("/")[0])
        with fileio.open(target + _DRAFT, "wb") as sink:
            sink.write(content)
        fileio.rename(target + _DRAFT, target, overwrite=True)


def read_files(uri: str, names: Sequence[str]) -> dict[str, bytes]:
    """Content of those of the files that exist below ``uri``, by name."""
    files = {}
    for name in names:
        place = _below(uri, name)
        if fileio.exists(place):
            with fileio.open(place, "rb") as source:
                files[name] = source.read()
    return files


@contextlib.contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """A local directory with the content of ``uri``: itself if it is local."""
    if is_local(uri):
        yield uri
        return
    with scratch_directory() as directory:
        for folder, _, names in fileio.walk(uri):
            below = os.path.relpath(_text(folder), uri)
            Path(directory, below).mkdir(parents=True, exist_ok=True)
            for name in map(_text, names):
                with fileio.open(_below(_text(folder), name), "rb") as source:
                    Path(directory, below, name).write_bytes(source.read())
        yield str(directory)


@contextlib.contextmanager
def local_target(uri: str) -> Iterator[str]:
    """A local directory whose content is at ``uri`` once the block has ended."""
    if is_local(uri):
        yield uri
        return
    with scratch_directory() as directory:
        place = Path(directory, "content")
        yield str(place)
        files = sorted(path for path in place.rglob("*") if path.is_file())
        write_files(uri, {p.relative_to(place).as_posix(): p.read_bytes() for p in files})


@contextlib.contextmanager
def within_reach(store: str, limits: Limits) -> Iterator[str]:
    """The store, or a local copy of an archive that lies where only TFX's fileio reads."""
    scheme = store.partition("://")[0].lower().removesuffix("+mlmd")
    if is_local(store) or scheme in _STORE_SCHEMES:
        yield store
        return
    with local_place(store, limits) as place:
        yield place


@contextlib.contextmanager
def local_place(uri: str, limits: Limits) -> Iterator[str]:
    """A local directory with the content of ``uri``, copied within the time limit."""
    with contextlib.ExitStack() as stack:
        copy = local_copy(uri)
        yield uri if is_local(uri) else in_thread(lambda: stack.enter_context(copy), limits)


class FileioPayloads:
    """Payloads wherever TFX reads and writes: what the present run has just written.

    A place that cannot be read counts as empty, a file as missing.
    """

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``; see ``payloads.statistics.Payloads.files``."""
        found: list[str] = []
        try:
            for folder, _, names in fileio.walk(uri):
                below = _text(folder)[len(uri) :].strip("/")
                found.extend(f"{below}/{_text(name)}".lstrip("/") for name in names)
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            logging.debug("%s counts as empty: %s", uri, error)
        return tuple(sorted(found))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a file; see ``payloads.statistics.Payloads.read``."""
        try:
            return read_files(uri, [name]).get(name)
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            logging.debug("%s/%s counts as missing: %s", uri, name, error)
            return None


def is_local(uri: str) -> bool:
    """True for a path of this machine's file system."""
    return "://" not in uri


def _below(uri: str, name: str) -> str:
    return f"{uri.rstrip('/')}/{name}"


def _text(path: str | bytes) -> str:
    return path.decode() if isinstance(path, bytes) else path
