"""The plugin: what it adds to Airflow, and that it costs the other processes of Airflow nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from airflow_provider_voice.plugins.voice import LazyPage, VoicePlugin


def test_airflow_finds_the_plugin() -> None:
    (entry,) = entry_points(group="airflow.plugins", name="voice")
    assert entry.load() is VoicePlugin


def test_the_page_is_in_the_navigation() -> None:
    (view,) = VoicePlugin.external_views
    (app,) = VoicePlugin.fastapi_apps
    assert view["destination"] == "nav"
    assert view["href"] == f"{app['url_prefix'].lstrip('/')}/"
    assert isinstance(app["app"], LazyPage)


@pytest.mark.parametrize("missing", ["fastapi", "jinja2", "sqlalchemy"])
def test_loading_the_plugin_imports_nothing_of_the_page(missing: str) -> None:
    """Schedulers and workers load every plugin too; some of them have no FastAPI."""
    code = (
        "import sys\n"
        "from airflow.providers.common.compat.sdk import AirflowPlugin\n"
        "before = set(sys.modules)\n"
        f"if {missing!r} not in before: sys.modules[{missing!r}] = None\n"
        "import airflow_provider_voice.plugins.voice\n"
        "new = {name for name in set(sys.modules) - before if not name.startswith('airflow_provider_voice')}\n"
        "print(sorted(new - {'threading', 'urllib.parse', 'urllib'}))\n"
        "print([name for name in sys.modules if 'voice_page' in name or 'outreach' in name])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, ours = done.stdout.split("\n")[-3:-1]
    assert missing not in heavy.replace("'", "").strip("[]").split(", ") or heavy == f"[{missing!r}]"
    assert len(heavy) < 60, heavy
    assert ours == "[]"
