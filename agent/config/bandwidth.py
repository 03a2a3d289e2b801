"""How limits of bandwidth stand in the configuration: `[bandwidth]` for the station, the same keys in `[[stores]]`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, model_validator

from agent.config.table import Table
from agent.core.bandwidth_policy import DAY_MIN, DAYS, Hours, Timetable
from agent.core.rate import parse_rate

MOST_HOURS = 64
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_MIDNIGHT = "24:00"


def _check_rate(text: str) -> str:
    parse_rate(text)
    return text


def _check_begin(text: str) -> str:
    if _CLOCK.fullmatch(text) is None:
        raise ValueError(f'{text!r} is no time of the day; write for example "08:00"')
    return text


def _check_days(days: tuple[str, ...]) -> tuple[str, ...]:
    if not days:
        raise ValueError("name at least one day, or leave the key out for every day")
    return days


def _check_end(text: str) -> str:
    return text if text == _MIDNIGHT else _check_begin(text)


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_EVERY_DAY: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DayList = Annotated[tuple[Day, ...], AfterValidator(_check_days)]
RateText = Annotated[str, AfterValidator(_check_rate)]
BeginText = Annotated[str, AfterValidator(_check_begin)]
EndText = Annotated[str, AfterValidator(_check_end)]


class HoursTable(Table):
    """`[[bandwidth.hours]]`, `[[stores.hours]]`: by the station's wall clock; `to` before `from` passes midnight."""

    days: DayList = _EVERY_DAY  # on which the hours begin
    begin: BeginText = Field(alias="from")
    end: EndText = Field(alias="to")
    limit: RateText

    @model_validator(mode="after")
    def _some_time(self) -> "HoursTable":
        if self.begin == self.end:
            raise ValueError('from and to are the same; a whole day is from = "00:00", to = "24:00"')
        return self

    @property
    def hours(self) -> Hours:
        """As the policy knows them."""
        days = frozenset(map(DAYS.index, self.days))
        end_min = DAY_MIN if self.end == _MIDNIGHT else _minute(self.end)
        return Hours(days, _minute(self.begin), end_min, parse_rate(self.limit))


HoursList = Annotated[tuple[HoursTable, ...], Field(max_length=MOST_HOURS)]


class BandwidthTable(Table):
    """`[bandwidth]`: what all stores together may be sent."""

    limit: RateText = "none"
    hours: HoursList = ()
    yield_to_others: StrictBool = False  # send more slowly as soon as packets queue on the line


def timetable(limit: str, hours: tuple[HoursTable, ...]) -> Timetable:
    """The limits of one line as the policy knows them."""
    return Timetable(parse_rate(limit), tuple(table.hours for table in hours))


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
