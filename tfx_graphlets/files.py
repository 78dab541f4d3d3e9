"""Files and directories that appear whole or not at all.

What is written stands beside its target under a name that carries this
project's sign and the process's id, and takes its place in one step. A process
that was killed leaves such a draft behind; the next call for the same target
removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SIGN: Final = ".tfx-graphlets-draft."
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of Linux's renameat2
_AT_FDCWD: Final = -100


@contextlib.contextmanager
def replaced_file(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which takes the target's place when the block ends well.

    ::

        with replaced_file("decision.json") as draft:
            draft.write_text("{}")

    Args:
      target: a file, which may exist; its folder must.

    Raises:
      OSError: the draft cannot be written, or cannot take the target's place;
        the target is what it was.
    """
    place = Path(target)
    draft = _draft_of(place)
    try:
        yield draft
        synchronise(draft)
        draft.replace(place)
        synchronise(place.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_directory(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A new directory, which takes the target's place when the block ends well.

    A target that exists is exchanged in one step where the file system can do
    that (Linux), so that at every moment there is a whole one; elsewhere it is
    moved aside for the moment between two renames.

    Args:
      target: a directory, which may exist; its folder is made.

    Raises:
      OSError: as for ``replaced_file``.
    """
    place = Path(target)
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft_of(place)
    try:
        draft.mkdir()
        yield draft
        for path in (*draft.rglob("*"), draft):
            synchronise(path)
        if place.exists():
            _exchange(draft, place)
        else:
            draft.rename(place)
        synchronise(place.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # after an exchange: what was there before


@contextlib.contextmanager
def scratch_directory(room_mb: int = 0) -> Iterator[Path]:
    """A new directory among the temporary ones, gone with its content when the block ends.

    Those that killed processes of the same user left are removed first.

    Args:
      room_mb: MB of 2**20 bytes that have to be free, and that a file may have: native code may
        end the process where it cannot write.

    Raises:
      OSError: it cannot be made, there is less room, or files are held to less.
    """
    prefix = f"scratch{SIGN}"
    _remove_left(Path(tempfile.gettempdir()), prefix, own=False)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}."))
    try:
        if shutil.disk_usage(folder).free < room_mb << 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.parent))
        largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if largest != resource.RLIM_INFINITY and largest < room_mb << 20:
            reason = f"{os.strerror(errno.EFBIG)} for ulimit -f, which has to allow {room_mb} MB"
            raise OSError(errno.EFBIG, reason, str(folder.parent))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_replaceable(directory: Path, marker: str, kind: str) -> bool:
    """Whether a path is an empty directory, or one that says it is of a kind of this project's.

    Args:
      directory: to be replaced.
      marker: name of the JSON file in it that names its ``kind``.
      kind: what it has to name.

    Returns:
      False for what is no directory, and where the marker is missing or cannot be read:
      nothing of this project removes what it did not write.

    Raises:
      OSError: the directory cannot be listed.
    """
    if not directory.is_dir():
        return False
    if not any(directory.iterdir()):
        return True
    try:
        document = json.loads((directory / marker).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("kind") == kind


def _draft_of(target: Path) -> Path:
    """Name of a draft; drafts of the same target that ended processes left are removed."""
    prefix = f".{target.name}{SIGN}"
    _remove_left(target.parent, prefix, own=True)
    return target.with_name(f"{prefix}{os.getpid()}")


def _remove_left(folder: Path, prefix: str, *, own: bool) -> None:
    """Removes what ended processes left in a folder; ``own``: and this process, from before."""
    with contextlib.suppress(OSError):
        for left in folder.iterdir():
            if not left.name.startswith(prefix):
                continue
            process = left.name[len(prefix) :].partition(".")[0]
            if _is_alive(process) and not (own and process == str(os.getpid())):
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _is_alive(process: str) -> bool:
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def synchronise(path: Path) -> None:
    """Sees to it that a file, or the names in a folder, outlive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Exchanges two files or directories in one step; False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    return bool(renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0)


def _exchange(one: Path, other: Path) -> None:
    if exchange(one, other):
        return
    aside = one.with_name(f"{one.name}.aside")
    other.rename(aside)
    try:
        one.rename(other)
    except OSError:
        aside.rename(other)
        raise
    aside.rename(one)
