"""Progress lines of a campaign, for the task's log: counts, pace and expected end; never a number or a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_voice.models import write_time

if TYPE_CHECKING:
    from airflow_provider_voice.outreach.views import CampaignSummary


def line(summary: CampaignSummary, attempts: int) -> str:
    """Return one line about a campaign.

    :param summary: the campaign's progress.
    :param attempts: its attempts so far.
    :return: the line, without a number or a name.
    """
    end = summary.expected_end
    shown = "now" if not summary.left else "not known yet" if end is None else write_time(end.replace(microsecond=0))
    return (
        f"{summary.done} of {summary.total} contacts done, {summary.left - summary.waiting} in progress, "
        f"{summary.waiting} waiting, {attempts} attempts, {summary.pace:.0f} a minute, expected end: {shown}."
    )
