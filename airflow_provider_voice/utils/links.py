"""Links from a task instance to the page *Voice*: ``Call`` and ``Campaign``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class CallLink(BaseOperatorLink):
    """Opens the call that a ``MakeCallOperator`` placed."""

    name = "Call"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the call.

        :param operator: the task, as it ran.
        :param ti_key: the task instance; not needed, because the operator holds its call.
        :return: the address; empty when no call was placed.
        """
        del ti_key
        placed = getattr(operator, "_placed", None)
        return "" if placed is None else _page_address("call", call_id=placed.id)


class CampaignLink(BaseOperatorLink):
    """Opens the campaign of an ``OutreachOperator`` or a ``PlanOutreachOperator``."""

    name = "Campaign"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the campaign.

        :param operator: the task, with its templates rendered.
        :param ti_key: the task instance; not needed, because the operator holds the name of its campaign.
        :return: the address; empty without a name.
        """
        del ti_key
        campaign = getattr(operator, "campaign", None)
        return _page_address("campaign", name=str(campaign)) if campaign else ""


def _page_address(path: str, **query: str) -> str:
    """Return path and query of a page, without a host: the workers may know the UI by another host than people do."""
    below = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{below}/voice/{path}?{urlencode(query)}"
