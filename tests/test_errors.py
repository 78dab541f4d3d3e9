"""Faults: whatever is raised has a code and a line of text."""

from __future__ import annotations

import pytest

from tfx_graphlets.errors import (
    MOST_CHARACTERS,
    Fault,
    GraphletsError,
    StoreError,
    fault_of,
    in_one_line,
)


class _UntellableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (GraphletsError("x"), Fault.WRONG_SETTING),
        (GraphletsError("x").with_fault(Fault.NO_HISTORY), Fault.NO_HISTORY),
        (StoreError("a", "b"), Fault.STORE_FAILED),
        (MemoryError(), Fault.OUT_OF_MEMORY),
        (TimeoutError(), Fault.TIMEOUT),
        (PermissionError(13, "denied"), Fault.NO_RIGHTS),
        (OSError(27, "file too large"), Fault.DISK_FULL),
        (OSError(5, "input/output error"), Fault.FILE_SYSTEM),
        (SystemExit(3), Fault.BUG),
        (RecursionError(), Fault.BUG),
    ],
)
def test_everything_has_a_code(error: BaseException, fault: Fault) -> None:
    """Errors of ours by their kind, those of the machine by theirs, the rest as a bug."""
    assert fault_of(error) is fault


def test_a_code_of_its_own_is_that_errors_alone() -> None:
    """with_fault changes no other error of the class."""
    GraphletsError("x").with_fault(Fault.TIMEOUT)
    assert GraphletsError("y").fault is Fault.WRONG_SETTING


@pytest.mark.tfx
def test_errors_of_tensorflows_file_systems_have_codes() -> None:
    """They are no OSError."""
    errors = pytest.importorskip("tensorflow").errors
    assert fault_of(errors.ResourceExhaustedError(None, None, "full")) is Fault.DISK_FULL
    assert fault_of(errors.PermissionDeniedError(None, None, "no")) is Fault.NO_RIGHTS
    assert fault_of(errors.UnavailableError(None, None, "gone")) is Fault.FILE_SYSTEM


def test_a_line_is_one_short_line_that_anything_takes() -> None:
    """Lone surrogates, escapes and line breaks go; five megabytes are cut."""
    line = in_one_line(StoreError("a", "x\ud800y\x1b[31m\nz" + "w" * 5_000_000))
    assert line.startswith("a: x\\ud800y\\x1b[31m z")
    assert len(line) <= MOST_CHARACTERS + 4
    line.encode()


def test_an_error_that_cannot_tell_itself_is_told_by_its_class() -> None:
    """Its __str__ may raise."""
    assert in_one_line(_UntellableError()) == "_UntellableError"
