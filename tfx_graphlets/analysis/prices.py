"""Prices: from hours of compute to money."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import HOUR_MS, Role

_PRICE = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<amount>[0-9.eE+-]+)/h")


@dataclasses.dataclass(frozen=True)
class Prices:
    """What an hour of an execution costs.

    Attributes:
      per_hour: of everything that has no price of its own; None where no price
        is known: then nothing has one.
      of_role: price per hour by role, counted before ``per_hour``.
      of_type: price per hour by execution type, full name or last dotted part,
        counted first.
      currency: how amounts are named, for instance ``EUR``.
    """

    per_hour: float | None = None
    of_role: Mapping[Role, float] = dataclasses.field(default_factory=dict)
    of_type: Mapping[str, float] = dataclasses.field(default_factory=dict)
    currency: str = "USD"

    @classmethod
    def parse(cls, texts: Iterable[str], currency: str = "USD") -> Prices:
        """Prices as the command line takes them.

        >>> Prices.parse(["0.35/h", "trainer=2.48/h"]).of_role
        {<Role.TRAINER: 8>: 2.48}

        Args:
          texts: ``AMOUNT/h``, ``ROLE=AMOUNT/h`` or ``TYPE=AMOUNT/h``. A role is
            written in lower case, a type as its class. Of repeated names the
            last counts; without an ``AMOUNT/h`` the rest costs nothing.
          currency: see the class.

        Raises:
          InvalidArgumentError: a text is not of this form, or an amount is
            negative or not finite.
        """
        per_hour: float | None = None
        of_role: dict[Role, float] = {}
        of_type: dict[str, float] = {}
        for text in texts:
            found = _PRICE.fullmatch(text.strip())
            try:
                amount = float(found["amount"]) if found else math.nan
            except ValueError:
                amount = math.nan
            if found is None or not (math.isfinite(amount) and amount >= 0):
                raise InvalidArgumentError(
                    "price", text, "must be AMOUNT/h or ROLE=AMOUNT/h, for example trainer=2.48/h"
                )
            name = found["name"]
            if name is None:
                per_hour = amount
            elif name.islower() and name.upper() in Role.__members__:
                of_role[Role[name.upper()]] = amount
            else:
                of_type[name] = amount
        if per_hour is None and (of_role or of_type):
            per_hour = 0.0
        return cls(per_hour, of_role, of_type, currency)

    @property
    def known(self) -> bool:
        """Whether anything has a price."""
        return self.per_hour is not None

    def of_executions(self, graphlets: Graphlets) -> FloatArray:
        """Money that every execution of the trace cost, float64 [num_executions].

        Its cost (milliseconds, weights of ``segment`` included) times the price
        of an hour; NaN where no price is known.
        """
        executions = graphlets.trace.executions
        price = np.full(len(executions), np.nan if self.per_hour is None else self.per_hour)
        for role, amount in self.of_role.items():
            price[graphlets.role == role] = amount
        for code, name in enumerate(executions.type_names if self.of_type else ()):
            amount = self.of_type.get(name, self.of_type.get(vocabulary.base_name(name), math.nan))
            if not math.isnan(amount):
                price[executions.type == code] = amount
        return graphlets.cost * price / HOUR_MS

    def to_dict(self) -> dict[str, float]:
        """Price per hour by name; ``""`` for the rest."""
        named = {role.name.lower(): amount for role, amount in self.of_role.items()}
        rest = {} if self.per_hour is None else {"": self.per_hour}
        return {**rest, **named, **self.of_type}
