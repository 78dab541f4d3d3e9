"""The last line of defence: what is raised, whatever it is, does not get past it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar, Union

from tfx_graphlets.errors import GraphletsError, in_one_line
from tfx_graphlets.supervision.parent import TaskError

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")

Value = Union[int, float, str]


class HasProperties(Protocol):
    """What is asked of a TFX artifact."""

    def set_string_custom_property(self, key: str, value: str) -> None:
        """Sets a text."""
        ...

    def set_int_custom_property(self, key: str, value: int) -> None:
        """Sets a whole number."""
        ...

    def set_float_custom_property(self, key: str, value: float) -> None:
        """Sets a number."""
        ...


def defended(work: Callable[[], _T], otherwise: Callable[[BaseException], _T]) -> _T:
    """What ``work`` returns, or ``otherwise`` of whatever it raises.

    SystemExit, MemoryError and the panics of Rust are caught, too; of all that can be raised
    KeyboardInterrupt alone passes.
    """
    try:
        return work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - that is what this is for
        return otherwise(error)


def safely(what: str, work: Callable[[], object]) -> bool:
    """Does what the pipeline can do without; true if it was done, else there is one WARNING."""

    def failed(error: BaseException) -> bool:
        warn(what, error)
        return False

    def done() -> bool:
        work()
        return True

    return defended(done, failed)


def warn(what: str, error: BaseException) -> None:
    """One WARNING; of what nobody foresaw where it was, at INFO. Raises nothing."""
    with contextlib.suppress(Exception):
        _LOGGER.warning("%s: %s", what, in_one_line(error))
        if isinstance(error, TaskError):
            if error.traceback:
                _LOGGER.info("%s", error.traceback)
        elif not isinstance(error, GraphletsError):
            _LOGGER.info("%s", what, exc_info=error)


def set_properties(artifact: HasProperties, properties: Mapping[str, Value]) -> None:
    """Sets each custom property that can be set; of each that cannot there is a WARNING."""

    def put(key: str, value: Value) -> None:
        if isinstance(value, str):
            artifact.set_string_custom_property(key, value)
        elif isinstance(value, int):
            artifact.set_int_custom_property(key, value)
        else:
            artifact.set_float_custom_property(key, value)

    for key, value in properties.items():
        safely(f"cannot set the property {key}", lambda key=key, value=value: put(key, value))  # type: ignore[misc]
