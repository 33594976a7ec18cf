"""The Airflow plugin that adds *Voice* to the navigation.

Every Airflow process loads the plugins, also schedulers and workers, so this module imports neither FastAPI nor the
page: the first request does.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

URL_PREFIX = "/voice"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="{color}" '
    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d="M22 16.9v3a2 2 0 0 1-2.2 2 19.8 19.8 0 0 '
    "1-8.6-3 19.5 19.5 0 0 1-6-6 19.8 19.8 0 0 1-3.1-8.7A2 2 0 0 1 4.1 2h3a2 2 0 0 1 2 1.7c.1 1 .4 1.9.7 2.8a2 2 0 0 "
    "1-.5 2.1L8.1 9.9a16 16 0 0 0 6 6l1.3-1.3a2 2 0 0 1 2.1-.4c.9.3 1.8.6 2.8.7a2 2 0 0 1 1.7 2z"
    '"/></svg>'
)


def _icon(color: str) -> str:
    return f"data:image/svg+xml,{quote(_ICON.format(color=color))}"


class LazyPage:
    """An ASGI application that makes the page with the first request."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.page(scope, receive, send)

    @cached_property
    def page(self) -> Any:
        """The FastAPI application."""
        # FastAPI, Jinja and SQLAlchemy: only an API server needs them.
        from airflow_provider_voice.plugins.voice_page.app import create_page

        return create_page()


class VoicePlugin(AirflowPlugin):
    """Adds the page to Airflow 3.1 and later."""

    name = "voice"
    fastapi_apps = [{"app": LazyPage(), "url_prefix": URL_PREFIX, "name": "Voice"}]  # noqa: RUF012 - as Airflow has it
    external_views = [  # noqa: RUF012 - as Airflow has it
        {
            "name": "Voice",
            # Relative to Airflow's base URL, which may have a path of its own.
            "href": f"{URL_PREFIX.removeprefix('/')}/",
            "destination": "nav",
            "url_route": "voice",
            "icon": _icon("#7b8ba5"),
            "icon_dark_mode": _icon("#a9b6cb"),
        }
    ]
