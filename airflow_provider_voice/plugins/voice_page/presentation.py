"""Texts, bars and the plot of the page: times, counts, masked numbers. No database is read here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_provider_voice import __version__
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.phone import MASK, SIGNS, mask_number, mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_voice.outreach.views import CampaignSummary, HourCount

_DIGITS_IN_KEY = re.compile(rf"[+\uFF0B]?\d(?:[{SIGNS}/]*\d){{6,}}")
_HASH = re.compile(r"[0-9a-f]{16,}")  # longer than any number
#: Numbers that agree in so many last digits are taken for the same.
_TELLING_DIGITS = 7
#: Longer runs of digits are taken for a number where the contact's own is not known.
_SHORTEST_NUMBER = 10
_PLOT_WIDTH, _PLOT_HEIGHT, _PLOT_FLOOR = 720.0, 180.0, 156.0
_PLOT_LEFT, _TICK_WIDTH, _TICK_HOURS = 40.0, 110.0, 12


def _moment(value: datetime | None) -> str:
    """Return a time for people, to the minute, in UTC."""
    return "–" if value is None else value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _count(value: float) -> str:
    """Return a whole number with thousands separators."""
    return f"{value:,.0f}".replace(",", "\u202f")


def _readable(value: str) -> str:
    """Return a state or status without its underscores."""
    return value.replace("_", " ")


def _without_numbers(value: str | None) -> str:
    """Return a text of a vendor or of the ledger with every possible phone number masked."""
    return "" if value is None else mask_numbers_in(str(value))


def shown_key(key: str, number: str | None) -> str:
    """Return a contact's key for people; some lists use the phone number as the key.

    :param key: the key.
    :param number: the contact's number; ``None``: not known.
    :return: the key, with the contact's number masked. Without the number, each long run of digits is masked.
    """
    own = re.sub(r"\D", "", number or "")

    def hide(match: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", match.group())
        if own:
            is_number = own[-_TELLING_DIGITS:] in digits
        else:
            is_number = match.group().startswith(("+", "\uff0b")) or len(digits) >= _SHORTEST_NUMBER
        return mask_number(match.group()) if is_number else match.group()

    return _DIGITS_IN_KEY.sub(hide, key)


def shown_number(number: str | None) -> str:
    """Return a phone number masked.

    :param number: a number, or its mask or hash from the call table; ``None``: not known.
    :return: the mask, the first characters of the hash, or a dash for ``None``.
    """
    if number is None or MASK in number:
        return number or "–"
    return f"{number[:8]}…" if _HASH.fullmatch(number) else mask_number(number)


def _duration(seconds: float | None) -> str:
    """Return a duration in hours, minutes and seconds."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def address(path: str, **query: str | None) -> str:
    """Return a relative address, so that it is valid below any path that Airflow is served at.

    :param path: the path, relative to the current page.
    :param query: the query parameters; empty ones are left out.
    :return: path and query.
    """
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


@dataclass(frozen=True)
class Segment:
    """A part of a bar.

    :param name: its group of contacts, also its CSS class: ``reached``, ``closed``, ``unknown`` or ``active``.
    :param start: where it begins, in percent.
    :param width: how long it is, in percent.
    """

    name: str
    start: float
    width: float


def segments(summary: CampaignSummary) -> list[Segment]:
    """Return the parts of a campaign's progress bar.

    :param summary: the campaign's counts.
    :return: the parts from left to right; those that wait are the empty rest.
    """
    reached = summary.counts.get(ContactState.REACHED.value, 0)
    parts = {
        "reached": reached,
        "closed": summary.done - reached - summary.undecided,
        "unknown": summary.undecided,
        "active": summary.left - summary.waiting,  # the waiting contacts are the empty rest of the bar
    }
    found, start = [], 0.0
    for name, number in parts.items():
        if number:
            width = 100.0 * number / summary.total
            found.append(Segment(name, round(start, 2), round(width, 2)))
            start += width
    return found


@dataclass(frozen=True)
class Bar:
    """One hour of the plot, in the units of its view box; it stands on the plot's floor.

    :param label: the hour and its counts, for people.
    :param x: left edge.
    :param attempts: height of the attempts.
    :param answered: height of the answered calls.
    :param tick: the text below the bar; empty: none.
    """

    label: str
    x: float
    attempts: float
    answered: float
    tick: str


@dataclass(frozen=True)
class Plot:
    """Attempts and answers per hour.

    :param bars: one for each hour.
    :param highest: the most attempts in an hour.
    :param bar_width: width of a bar.
    :param width: width of the view box.
    :param height: height of the view box.
    :param floor: where the bars stand.
    :param left: where the bars begin.
    """

    bars: Sequence[Bar]
    highest: int
    bar_width: float
    width: float = _PLOT_WIDTH
    height: float = _PLOT_HEIGHT
    floor: float = _PLOT_FLOOR
    left: float = _PLOT_LEFT


def plot(hours: Sequence[HourCount]) -> Plot | None:
    """Return the plot of attempts per hour.

    :param hours: the counts, in order of time and without a gap.
    :return: the plot; ``None`` when there were no attempts.
    """
    highest = max((hour.attempts for hour in hours), default=0)
    if not highest:
        return None
    step = (_PLOT_WIDTH - _PLOT_LEFT) / len(hours)
    scale = (_PLOT_FLOOR - 12.0) / highest
    bars = []
    for number, hour in enumerate(hours):
        at = f"{hour.hour:%d %b %H:00}"
        has_room = (len(hours) - number) * step > _TICK_WIDTH
        bars.append(
            Bar(
                label=f"{at} UTC: {hour.attempts} attempts, {hour.answered} answered",
                x=round(_PLOT_LEFT + number * step, 1),
                attempts=round(hour.attempts * scale, 1),
                answered=round(hour.answered * scale, 1),
                tick=at if has_room and hour.hour.hour % _TICK_HOURS == 0 else "",
            )
        )
    return Plot(bars, highest, round(step - 2.0, 1))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        moment=_moment,
        count=_count,
        readable=_readable,
        without_numbers=_without_numbers,
        masked=shown_number,
        duration=_duration,
    )
    environment.globals.update(
        address=address,
        segments=segments,
        plot=plot,
        shown_key=shown_key,
        version=__version__,
        states=list(ContactState),
    )
    return environment


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a page; every value is escaped.

    :param template: the template's file name.
    :param values: the template's variables.
    :return: the HTML.
    """
    return _environment().get_template(template).render(values)
