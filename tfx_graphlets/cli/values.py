"""Words of the command line: the values of options, or the reason why not, without passwords."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import IO, NoReturn

from tfx_graphlets.stores.uris import redacted
from tfx_graphlets.vocabulary import Role


class Parser(argparse.ArgumentParser):
    """A parser whose messages repeat no password that a word may hold."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse does, but for what it remembers."""
        self.words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def _print_message(self, message: str, file: IO[str] | None = None) -> None:  # type: ignore[override]
        super()._print_message(message, file)
        if file is not None:
            file.flush()  # a full disk shows here, and not when Python ends

    def error(self, message: str) -> NoReturn:
        """Prints usage and message, and exits with 2."""
        super().error(without_passwords(message, getattr(self, "words", ())))


def without_passwords(message: str, words: Sequence[str]) -> str:
    """The message without the passwords that the words which were typed may hold."""
    for word in words:
        if redacted(word) != word:
            login = word.partition("://")[2].rpartition("@")[0] or word.rpartition("@")[0]
            for secret in (word, login, login.partition(":")[2]):
                for said in filter(None, (secret, repr(secret)[1:-1])):
                    message = message.replace(said, redacted(word) if secret is word else "***")
    return message


def number(low: float, high: float) -> Callable[[str], float]:
    """Converter of a number from low to high, both included; argparse names what it refuses."""

    def convert(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not within {low} and {high}")
        return value

    convert.__name__ = "number"
    return convert


def whole(low: int) -> Callable[[str], int]:
    """Converter of a whole number of low or more."""

    def convert(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"{text!r} is less than {low}")
        return value

    convert.__name__ = "whole number"
    return convert


def _role(name: str) -> Role:
    try:
        return Role[name.strip().upper()]
    except KeyError:
        roles = ", ".join(role.name.lower() for role in Role)
        raise argparse.ArgumentTypeError(f"{name!r} is no role; roles are {roles}") from None


def role_of_type(text: str) -> tuple[str, Role]:
    """``MyFit=trainer`` as the type's name and its role."""
    name, equals, role = text.rpartition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form TYPE=ROLE")
    return name, _role(role)


def weight(text: str) -> tuple[str | Role, float]:
    """``trainer=2.5`` as a role, ``MyFit=2.5`` as a type's name, and the factor."""
    name, equals, amount = text.rpartition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form ROLE=W or TYPE=W")
    try:
        factor = float(amount)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{amount!r} in {text!r} is no number") from None
    if not (math.isfinite(factor) and factor >= 0):
        raise argparse.ArgumentTypeError(f"{amount!r} in {text!r} is not a number of 0 or more")
    # A role is written in lower case (trainer), a type as its class (Trainer).
    if name.islower() and name.upper() in Role.__members__:
        return Role[name.upper()], factor
    return name, factor


def code(text: str) -> tuple[str, str]:
    """``[ROLE=]PLACE`` as the name of the role, ANY_ROLE without one, and the hash of the code."""
    from tfx_graphlets.features.user_code import ANY_ROLE, CODE_ROLES
    from tfx_graphlets.gate.code import hash_of_place

    name, equals, place = text.rpartition("=")
    if equals and name not in CODE_ROLES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(CODE_ROLES)}")
    found = hash_of_place(place)
    if not found:
        raise argparse.ArgumentTypeError(
            f"{place!r} is no Python file and no import path of a function that can be found here"
        )
    return (name if equals else ANY_ROLE), found
