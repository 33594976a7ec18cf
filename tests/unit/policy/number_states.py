"""Makes ``policy/number_states.txt`` out of the offline geocoder of ``phonenumbers``.

    python -m tests.unit.policy.number_states

The geocoder itself takes seconds and 200 MB to load, for every worker that asks it; the table takes milliseconds.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import phonenumbers

import airflow_provider_voice.policy

TABLE = Path(airflow_provider_voice.policy.__file__).with_name("number_states.txt")
SHARED = "?"
STATES = {
    "US": """Alabama AL, Alaska AK, Arizona AZ, Arkansas AR, California CA, Colorado CO, Connecticut CT, Delaware DE,
        Florida FL, Georgia GA, Hawaii HI, Idaho ID, Illinois IL, Indiana IN, Iowa IA, Kansas KS, Kentucky KY,
        Louisiana LA, Maine ME, Maryland MD, Massachusetts MA, Michigan MI, Minnesota MN, Mississippi MS, Missouri MO,
        Montana MT, Nebraska NE, Nevada NV, New Hampshire NH, New Jersey NJ, New Mexico NM, New York NY,
        North Carolina NC, North Dakota ND, Ohio OH, Oklahoma OK, Oregon OR, Pennsylvania PA, Rhode Island RI,
        South Carolina SC, South Dakota SD, Tennessee TN, Texas TX, Utah UT, Vermont VT, Virginia VA,
        Washington State WA, Washington D.C. DC, West Virginia WV, Wisconsin WI, Wyoming WY""",
    "CA": """Alberta AB, British Columbia BC, British Colombia BC, Manitoba MB, New Brunswick NB,
        Newfoundland and Labrador NL, Northwest Territories NT, Nova Scotia NS, Nunavut NU, Ontario ON,
        Prince Edward Island PE, Quebec QC, Saskatchewan SK, Yukon YT, Watson Lake YT""",
}
_NAMES = {
    name: f"{country}-{code}"
    for country, text in STATES.items()
    for name, code in (entry.strip().rsplit(" ", 1) for entry in text.split(","))
}
_CODES = {state.split("-")[1]: state for state in _NAMES.values()}


def state_named(description: str) -> str:
    """Return the state that a description such as ``Florida`` or ``Miami, FL`` names, or ``?``."""
    place, comma, code = description.rpartition(",")
    return _NAMES.get(description) or (_CODES.get(code.strip(), SHARED) if comma and place else SHARED)


def geocoder_states() -> dict[str, str]:
    """Return the state by number prefix, without prefixes that say the same as a shorter one."""
    from phonenumbers.geodata import GEOCODE_DATA

    states: dict[str, str] = {}
    named = ((prefix, names["en"]) for prefix, names in GEOCODE_DATA.items() if prefix[0] == "1" and "en" in names)
    for prefix, description in sorted(named, key=lambda item: (len(item[0]), item[0])):
        shorter = (states[prefix[:size]] for size in range(len(prefix) - 1, 0, -1) if prefix[:size] in states)
        state = state_named(description)
        if state != next(shorter, SHARED):
            states[prefix] = state
    return states


def table_text() -> str:
    by_state: dict[str, list[str]] = {}
    for prefix, state in geocoder_states().items():
        by_state.setdefault(state, []).append(prefix)
    header = (
        "# States of telephone numbers in the United States and Canada, by their first digits; the longest match counts.\n"
        f"# Made from the offline geocoder of phonenumbers {phonenumbers.__version__} by tests/unit/policy/number_states.py.\n"
        "# '?': the prefix names no state.\n"
    )
    lines = []
    for state in sorted(by_state):
        lines += textwrap.wrap(
            " ".join(sorted(by_state[state])), 110, initial_indent=f"{state} ", subsequent_indent=f"{state} "
        )
    return header + "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table_text(), encoding="utf-8")
