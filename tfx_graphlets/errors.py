"""What this library raises, and how text of others is shown where it goes on.

Every error carries, as attributes, the ids or values that it is about, so that
a caller need not parse its message. ``fault_of`` gives the code that a gate
writes on its artifact, whatever was raised (docs/reliability.md).

Names and values of a store, and what a driver or a server says, are anybody's:
a name may hold escape sequences, half of a character, or five megabytes. So
``shown`` makes of them one line of bounded length that no terminal obeys.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from enum import Enum
from typing import Final

LONGEST: Final = 2_000  # characters of a reason or of a line of the log
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
# Controls, lone surrogates, separators of lines, and what turns the direction of writing.
_CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


def shown(text: object, longest: int = LONGEST) -> str:
    r"""The text as one line that can be written anywhere in UTF-8.

    Args:
      text: anything; what is no str is converted.
      longest: number of characters at most; the middle of a longer text is left
        out, so that its end is still told.

    >>> print(shown("a\nb\x1b[31m"), shown("half \ud800"), shown("x" * 30, 11))
    a\nb\x1b[31m half \ud800 xxxxx…xxxxx
    """
    said = str(text)
    if len(said) > longest:
        half = (longest - 1) // 2
        said = f"{said[: longest - 1 - half]}{_ELLIPSIS}{said[len(said) - half :]}"
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], said)


class Fault(str, Enum):
    """What kept a gate from deciding, as a code; the property ``fault`` of its artifacts."""

    TIMEOUT = "timeout"  # the time limit passed
    ABORTED = "aborted"  # native code ended the process
    OUT_OF_MEMORY = "out_of_memory"  # the memory limit, or the machine's
    STORE_NOT_FOUND = "store_not_found"  # nothing is there, or nothing answers
    STORE_REFUSED = "store_refused"  # a password, a user, rights
    STORE_BUSY = "store_busy"  # locked by another program
    STORE_MALFORMED = "store_malformed"  # no metadata store, damaged, or of an unknown schema
    STORE_FAILED = "store_failed"  # it cannot be read for another reason
    NO_HISTORY = "no_history"  # the store lacks the pipeline, the run or its artifacts
    GRAPHLETS_DAMAGED = "graphlets_damaged"  # GraphletGen's files
    MODEL_MISSING = "model_missing"  # there is no waste model yet
    MODEL_DAMAGED = "model_damaged"  # its directory is incomplete, changed or unknown
    WRONG_SETTING = "wrong_setting"  # a value of the pipeline's author
    NOT_INSTALLED = "not_installed"  # an extra of this project
    DISK_FULL = "disk_full"
    NO_RIGHTS = "no_rights"  # to read or write a file
    FILE_SYSTEM = "file_system"  # another error of it
    BUG = "bug"  # nobody foresaw it

    def __str__(self) -> str:
        return self.value


class GraphletsError(Exception):
    """Base of every error that this library raises on purpose.

    >>> from tfx_graphlets import open_store
    >>> try:
    ...     open_store("nowhere.sqlite")
    ... except GraphletsError as error:
    ...     print(error)
    nowhere.sqlite: there is no such file; check the path

    Attributes:
      fault: the code of what it is about.
    """

    fault: Fault = Fault.WRONG_SETTING

    def with_fault(self, fault: Fault) -> GraphletsError:
        """The same error with a code of its own."""
        self.fault = fault
        return self


class InvalidArgumentError(GraphletsError, ValueError):
    """An argument has a value that the called function does not accept.

    Attributes:
      argument: name of the argument.
      value: the value that was given.
    """

    def __init__(self, argument: str, value: object, rule: str) -> None:
        self.argument = argument
        self.value = value
        super().__init__(f"{argument}={value!r}: {rule}")


class StoreError(GraphletsError):
    """A metadata store cannot be opened or read.

    Attributes:
      store: the store as the caller named it, without credentials.
    """

    fault = Fault.STORE_FAILED

    def __init__(self, store: str, problem: str) -> None:
        self.store = store
        super().__init__(f"{store}: {problem}")


class StoreNotFoundError(StoreError):
    """There is nothing at the place that the store's name points to."""

    fault = Fault.STORE_NOT_FOUND


class NotAMetadataStoreError(StoreError):
    """The file or server exists, and holds no ML Metadata schema."""

    fault = Fault.STORE_MALFORMED


class UnsupportedSchemaError(StoreError):
    """The store's MLMD schema version is not one that this release reads.

    Attributes:
      schema_version: the version found (MLMD table ``MLMDEnv``).
    """

    fault = Fault.STORE_MALFORMED

    def __init__(self, store: str, schema_version: int, problem: str) -> None:
        self.schema_version = schema_version
        super().__init__(store, problem)


class EmptyStoreError(StoreError):
    """The store is sound and holds no execution."""

    fault = Fault.NO_HISTORY


class TraceNotFoundError(GraphletsError):
    """A pipeline, run or execution that was asked for is not in the trace.

    Attributes:
      name: what was asked for.
    """

    fault = Fault.NO_HISTORY

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(problem)


class MalformedTraceError(GraphletsError):
    """The columns of a trace contradict each other.

    Attributes:
      ids: ids of the rows concerned, at most the first ten.
    """

    fault = Fault.STORE_MALFORMED

    def __init__(self, problem: str, ids: Sequence[int] = ()) -> None:
        self.ids = tuple(ids)[:10]
        shown = f" (ids {', '.join(map(str, self.ids))})" if self.ids else ""
        super().__init__(f"{problem}{shown}")


class ArchiveError(StoreError):
    """An archive directory is incomplete, damaged or of an unknown format."""

    fault = Fault.STORE_MALFORMED


class ModelFormatError(GraphletsError):
    """A waste model's directory cannot be used for what is asked.

    Attributes:
      directory: the model's directory.
    """

    fault = Fault.MODEL_DAMAGED

    def __init__(self, directory: str, problem: str) -> None:
        self.directory = directory
        super().__init__(f"{directory}: {problem}")


class NotEnoughHistoryError(GraphletsError):
    """There are too few labelled graphlets to learn or to judge from.

    Attributes:
      pushed: number of pushed graphlets found.
      unpushed: number of unpushed graphlets found.
    """

    fault = Fault.NO_HISTORY

    def __init__(self, problem: str, pushed: int, unpushed: int) -> None:
        self.pushed = pushed
        self.unpushed = unpushed
        super().__init__(problem)


class MissingDependencyError(GraphletsError, ImportError):
    """An optional dependency is needed for this call and is not installed.

    Attributes:
      package: the package that is missing.
      extra: the extra of this project that brings it.
    """

    fault = Fault.NOT_INSTALLED

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{purpose} needs {package}, which is not installed: "
            f'pip install "tfx-graphlets[{extra}]"'
        )


_NO_ROOM: Final = re.compile("failed to map segment|[Cc]annot allocate memory")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
# Codes of the errors of TensorFlow's file systems, which are no OSError.
_OP_ERRORS: Final = {
    4: Fault.TIMEOUT,  # deadline exceeded
    7: Fault.NO_RIGHTS,  # permission denied
    8: Fault.DISK_FULL,  # resource exhausted
    11: Fault.DISK_FULL,  # out of range: a file that may not grow so large
    16: Fault.NO_RIGHTS,  # unauthenticated
}


def fault_of(error: BaseException) -> Fault:
    """The code of what was raised, whatever it is.

    >>> fault_of(StoreNotFoundError("a.sqlite", "is not there")), fault_of(MemoryError())
    (<Fault.STORE_NOT_FOUND: 'store_not_found'>, <Fault.OUT_OF_MEMORY: 'out_of_memory'>)
    >>> fault_of(OSError(28, "No space left on device")), fault_of(ZeroDivisionError())
    (<Fault.DISK_FULL: 'disk_full'>, <Fault.BUG: 'bug'>)
    """
    if isinstance(error, MissingDependencyError) and _lacks_memory(error.__cause__):
        return Fault.OUT_OF_MEMORY
    if isinstance(error, GraphletsError):
        return error.fault
    if isinstance(error, MemoryError) or _lacks_memory(error):
        return Fault.OUT_OF_MEMORY
    if isinstance(error, TimeoutError):
        return Fault.TIMEOUT
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return Fault.DISK_FULL
        return Fault.NO_RIGHTS if error.errno in _FORBIDDEN else Fault.FILE_SYSTEM
    if str(getattr(type(error), "__module__", "")).startswith("tensorflow."):
        return _OP_ERRORS.get(getattr(error, "error_code", 0), Fault.FILE_SYSTEM)
    return Fault.BUG


def _lacks_memory(error: BaseException | None) -> bool:
    """What `ulimit -v` does to imports and threads, which Python tells in words alone."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return (isinstance(error, ImportError) and _NO_ROOM.search(str(error)) is not None) or (
        isinstance(error, RuntimeError) and str(error) == "can't start new thread"
    )


MOST_CHARACTERS: Final = 1_000  # of what goes on from an error into an artifact or a log


def in_one_line(error: BaseException) -> str:
    """What went wrong, as one line without a full stop; the class too if it is not ours.

    At most MOST_CHARACTERS long, without what no terminal or database takes
    (control characters, lone surrogates). Never raises.

    >>> in_one_line(StoreError("a.sqlite", "is locked.")), in_one_line(KeyError("stage"))
    ('a.sqlite: is locked', "KeyError: 'stage'")
    """
    name = type(error).__name__
    try:
        text = shown(" ".join(str(error)[: 2 * MOST_CHARACTERS].split()), 2 * MOST_CHARACTERS)
    except Exception:  # noqa: BLE001 - an error that cannot tell itself
        text = ""
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + " ..."
    text = text.rstrip(".") if not text.endswith(" ...") else text
    if isinstance(error, GraphletsError) and text:
        return text
    return f"{name}: {text}" if text else name
