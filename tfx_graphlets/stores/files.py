"""FilePayloads: the files below artifact URIs, on disk or on a remote file system."""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tfx_graphlets.payloads.statistics import Foreseeing, Payloads

MAX_FILES: Final = 1_000  # listed below one URI
MAX_BYTES: Final = 64 * 2**20  # of one file; a larger one counts as missing

_LOGGER = logging.getLogger(__name__)
_REMOTE = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL_SCHEME = re.compile(r"file://(localhost(?=/))?")


class FilePayloads:
    """Payloads of a store whose artifacts' URIs lead to files.

    A relative URI is relative to ``root``. Backslashes of a store that was
    written on Windows count as slashes where there is no such file otherwise;
    ``file://`` is taken off. Files over 64 MB are missing, and at most 1,000
    names are listed below one URI (those that sort first, folder by folder).
    """

    def __init__(
        self, root: str | os.PathLike[str] | None, *, remote: Payloads | None = None
    ) -> None:
        """States where files are looked for.

        Args:
          root: folder of the store's file; None where relative URIs lead
            nowhere (a database server).
          remote: who reads URIs with another scheme (``gs://``, ``s3://``);
            FsspecPayloads by default.
        """
        self._root = None if root is None else Path(root)
        self._remote = FsspecPayloads() if remote is None else remote

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``, sorted; see ``Payloads.files``.

        Where ``uri`` is itself a file, its own name.
        """
        if _REMOTE.match(uri):
            return self._remote.files(uri)
        place = self._place(uri)
        if place is None:
            return ()
        if place.is_file():
            return (place.name,)
        return tuple(sorted(itertools.islice(_names_below(place), MAX_FILES)))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of the file ``name`` below ``uri``; see ``Payloads.read``."""
        if _REMOTE.match(uri):
            return self._remote.read(uri, name)
        place = self._place(uri)
        if place is None:
            return None
        path = place if place.is_file() and place.name == name else place / name
        try:
            if not path.is_file() or path.stat().st_size > MAX_BYTES:
                return None
            return path.read_bytes()
        except (OSError, ValueError) as error:
            _LOGGER.debug("%s counts as missing: %s", path, error)
            return None

    def may_hold(self, place: str) -> bool:
        """True if the folder or file exists; see ``Foreseeing``."""
        if _REMOTE.match(place):
            return not isinstance(self._remote, Foreseeing) or self._remote.may_hold(place)
        return self._place(place) is not None

    def _place(self, uri: str) -> Path | None:
        text = _LOCAL_SCHEME.sub("", uri)
        spellings = [text, text.replace("\\", "/")]
        if text != uri:
            spellings.append(urllib.parse.unquote(text))
        for spelling in dict.fromkeys(spellings):
            path = Path(spelling)
            if not spelling or (self._root is None and not path.is_absolute()):
                continue
            if self._root is not None:
                path = self._root / path
            try:
                if path.exists():
                    return path
            except (OSError, ValueError) as error:  # a name that no file can have
                _LOGGER.debug("%r counts as missing: %s", uri, error)
        return None


class FsspecPayloads:
    """Payloads on any file system that the package fsspec opens, if it is there.

    Without fsspec, and where it cannot reach a file, all are missing. A scheme
    whose driver is not installed (``gs`` without gcsfs) is tried once: to look
    for a package costs more than all else.
    """

    def __init__(self) -> None:
        """Tries every scheme anew."""
        self._without_driver: set[str] = set()

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``, sorted; see ``Payloads.files``."""
        try:
            system, path = self._opened(uri)
            found = sorted(system.find(path))
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            _LOGGER.debug("%s counts as missing: %s", uri, error)
            return ()
        prefix = path.rstrip("/") + "/"
        if found == [path]:
            return (path.rpartition("/")[2],)
        return tuple(name[len(prefix) :] for name in found[:MAX_FILES] if name.startswith(prefix))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of the file ``name`` below ``uri``; see ``Payloads.read``."""
        try:
            system, path = self._opened(uri)
            if not (system.isfile(path) and path.rpartition("/")[2] == name):
                path = f"{path.rstrip('/')}/{name}"
            if system.size(path) > MAX_BYTES:
                return None
            content: bytes = system.cat_file(path)
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            _LOGGER.debug("%s/%s counts as missing: %s", uri, name, error)
            return None
        return content

    def may_hold(self, place: str) -> bool:
        """True if it exists; see ``Foreseeing``."""
        try:
            system, path = self._opened(place)
            return bool(system.exists(path))
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            _LOGGER.debug("%s counts as missing: %s", place, error)
            return False

    def _opened(self, uri: str) -> tuple[Any, str]:
        """The file system of a URI, and the path on it.

        Raises:
          ImportError: fsspec or the driver of the scheme is not installed.
          Exception: whatever the file system raises.
        """
        scheme = uri.partition("://")[0].lower()
        if scheme in self._without_driver:
            raise ImportError(f"{scheme}:// has no driver here")
        try:
            opened: tuple[Any, str] = importlib.import_module("fsspec.core").url_to_fs(uri)
        except ImportError:
            self._without_driver.add(scheme)
            raise
        return opened


def _names_below(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield (Path(place) / name).relative_to(folder).as_posix()
