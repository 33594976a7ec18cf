"""The plugin: its additions to Airflow, and that it costs the other processes of Airflow nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

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


def test_loading_the_plugin_imports_nothing_of_the_page() -> None:
    """Schedulers and workers load every plugin too; some of them have no FastAPI."""
    code = (
        "import sys\n"
        "from airflow.providers.common.compat.sdk import AirflowPlugin\n"
        "for name in ('fastapi', 'jinja2', 'sqlalchemy', 'itsdangerous'):\n"
        "    sys.modules[name] = None\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_voice.plugins.voice\n"
        "print('new:', *sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("new:"))
    new = {name for name in line.split()[1:] if name.startswith("airflow")}
    plugin = "airflow_provider_voice.plugins"
    assert new - {"airflow_provider_voice"} == {plugin, f"{plugin}.voice"}
