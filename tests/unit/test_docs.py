"""The pages in ``docs/`` name what there is, and their code blocks work as they stand.

``tests/integration/test_docs.py`` runs what needs a database. ``tests/unit/policy/test_docs.py`` proves the page on the
contact policy. The commands that start a server are run by ``test_examples`` and ``tests/unit/sandbox/test_cli.py``.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voice import exceptions
from airflow_provider_voice.export.models import Loaded
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import LOG_COLUMNS, TYPES
from airflow_provider_voice.export.warehouse.postgresql import PostgreSQL
from airflow_provider_voice.get_provider_info import get_provider_info
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.notifications.voice_call import VoiceCallNotifier
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.operators.outreach import OutreachOperator
from airflow_provider_voice.outreach.cli import _parser as outreach_parser
from airflow_provider_voice.policy.cli import _parser as policy_parser
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.sandbox.call_courses import MAGIC_ENDINGS
from airflow_provider_voice.sandbox.cli import _parser as sandbox_parser
from airflow_provider_voice.sandbox.faults import FaultKind
from airflow_provider_voice.sensors.call_status import CallStatusSensor
from airflow_provider_voice.transfers.calls_to_object_storage import CallsToObjectStorageOperator
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator
from airflow_provider_voice.triggers.calls_finished import CallsFinishedTrigger

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.rst")), *sorted(DOCS.glob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
HOW_TO = {
    MakeCallOperator: "make-call",
    OutreachOperator: "outreach",
    CallStatusSensor: "wait-for-calls",
    CallsFinishedTrigger: "calls-finished",
    CallsToWarehouseOperator: "calls-to-warehouse",
    CallsToObjectStorageOperator: "calls-to-object-storage",
    VoiceCallNotifier: "ring-on-failure",
}
EXTRAS = ("postgres", "sqlite", "parquet", "sandbox")


def text_of(page: str) -> str:
    return (DOCS / f"{page}.rst").read_text(encoding="utf-8")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield the code blocks of a language with the name of their page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT).as_posix()
        if page.suffix == ".md":
            found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
        else:
            found = [
                match[1]
                for match in re.findall(
                    rf"^( *)\.\. code-block:: {language}\n\n((?:\1 +\S.*\n|\s*\n)+)", text, re.MULTILINE
                )
            ]
        yield from ((name, textwrap.dedent(block).strip() + "\n") for block in found)


PYTHON = list(blocks("python"))
COMMANDS = [
    (page, line.removeprefix("$ "))
    for page, block in blocks("console")
    for line in block.splitlines()
    if line.startswith("$ ")
]


def test_there_are_blocks_to_test() -> None:
    assert len(PYTHON) > 8
    assert len(COMMANDS) > 15


# --- what the pages name ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", HOW_TO, ids=lambda cls: cls.__name__)
def test_every_argument_is_in_the_table_and_templated_ones_are_marked(cls) -> None:
    rows = re.findall(r"^   \* - (``.*)$", text_of(f"how-to/{HOW_TO[cls]}"), re.MULTILINE)
    shown = {name: row.endswith(" *") for row in rows for name in re.findall(r"``(\w+)``", row)}
    takes = [base.__init__ for base in cls.__mro__ if base.__module__.startswith("airflow_provider_voice.")]
    arguments = {name for init in takes for name in inspect.signature(init).parameters} - {"self", "args", "kwargs"}
    templated = set(getattr(cls, "template_fields", ()))
    assert {name: shown.get(name) for name in arguments} == {name: name in templated for name in arguments}


def test_every_key_of_a_load_is_described() -> None:
    page = text_of("how-to/calls-to-warehouse")
    assert not [name for name in Loaded.__dataclass_fields__ if f"``{name}``" not in page]


def test_every_column_is_described_with_its_type() -> None:
    rows = re.findall(r"^   \* - ``(\w+)``\n     - (.+)\n     - \S", text_of("exports"), re.MULTILINE)
    shown = {name: kind.removesuffix(", key") for name, kind in rows}
    sql = PostgreSQL("voice_calls", None).sql
    written = {kind: column_type.compile(sql).lower() for kind, column_type in TYPES.items()} | {"time": "timestamptz"}
    types = {name: written[kind] for name, kind in COLUMNS.items()}
    assert {name: shown.get(name) for name in types} == types


def test_every_column_and_kind_of_the_log_is_described() -> None:
    page = text_of("exports")
    assert not [name for name in (*LOG_COLUMNS, "run", "covered", "unread", "hour") if f"``{name}``" not in page]


def test_every_status_is_described() -> None:
    assert not [status.value for status in CallStatus if f"``{status.value}``" not in text_of("exports")]


def test_every_error_has_a_section_and_says_whether_it_is_retried() -> None:
    classes = [
        item for item in vars(exceptions).values() if isinstance(item, type) and issubclass(item, exceptions.VoiceError)
    ]
    for cls in classes:
        if cls is exceptions.VoiceError:
            continue
        section = text_of("errors").partition(f"``{cls.__name__}``\n~~~")[2].split("\n~~~")[0]
        assert section, cls
        if cls.__name__ not in ("CallOutcomeUnknown", "IncompleteHistory"):  # these are either, by the case
            assert ("*Permanent.*" in section) == cls().permanent, cls


def test_every_connection_field_and_option_is_described() -> None:
    info = get_provider_info()
    for connection in info["connection-types"]:
        for name in connection["conn-fields"]:
            assert f"``extra.{name}``" in text_of("connections"), name
    every_page = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for section, content in info["config"].items():
        for option in content["options"]:
            in_the_environment = f"``AIRFLOW__{section}__{option}``".upper()
            assert f"``[{section}] {option}``" in text_of("configuration") or in_the_environment in every_page


def test_every_fault_and_ending_of_the_sandbox_is_described() -> None:
    page = text_of("testing")
    assert not [kind for kind in FaultKind.__args__ if f"``{kind}``" not in page]
    for digits, outcome in MAGIC_ENDINGS.items():
        assert re.search(rf"``{digits}``\s+{outcome}", page)
        assert re.search(rf"``{digits}``\s+{outcome}", text_of("quick-start"))


def test_every_example_is_shown_or_named() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert not [path.name for path in (ROOT / "dags_examples").glob("*.py") if path.name not in text]


# --- references ------------------------------------------------------------------------------------------------------


def test_included_examples_and_their_marks_exist() -> None:
    for page in DOCS.rglob("*.rst"):
        directives = re.findall(
            r"literalinclude:: (\S+)\n\s+:start-after: (.+)\n\s+:end-before: (.+)\n", page.read_text(encoding="utf-8")
        )
        for path, *marks in directives:
            text = (page.parent / path).read_text(encoding="utf-8")
            assert [text.count(mark) for mark in marks] == [1, 1], (page.name, path)


def test_links_into_the_repository_lead_somewhere() -> None:
    for page in PAGES:
        for path in re.findall(r"airflow-provider-voice/(?:blob|tree)/main/([^)>#\s]+)", page.read_text("utf-8")):
            assert (ROOT / path.rstrip("`_")).exists(), (page.name, path)


def test_no_page_names_a_registry_or_this_machine() -> None:
    for page in PAGES:
        assert not re.search(r"index-url|/opt/|/home/", page.read_text("utf-8")), page


# --- code blocks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def beside_a_dag(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder with the rule file of the documentation, and a connection to the sandbox."""
    company = re.search(r"code-block:: yaml\n\n((?:    .*\n|\n)+)", text_of("who-may-be-called"))
    assert company
    (tmp_path / "company.yaml").write_text(textwrap.dedent(company[1]), "utf-8")
    monkeypatch.chdir(tmp_path)
    with Sandbox(frozen=True) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", sandbox.connection_json("talkover"))
        yield tmp_path


@pytest.mark.parametrize(
    ("page", "block"),
    [(page, block) for page, block in PYTHON if "def test_" not in block],
    ids=lambda value: value[:40],
)
def test_python_runs(page, block, beside_a_dag) -> None:
    file = beside_a_dag / "block.py"
    exec(compile(block, page, "exec"), {"__name__": "block", "__file__": str(file)})


def test_the_tests_in_the_pages_pass(tmp_path) -> None:
    tests = [block for _, block in PYTHON if "def test_" in block]
    assert len(tests) >= 4
    for number, block in enumerate(tests):
        (tmp_path / f"test_block_{number}.py").write_text(block, "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert f"{len(tests)} passed" in done.stdout


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_are_possible(page, command, monkeypatch) -> None:
    words = shlex.split(command, comments=True)
    checks = {
        "pip": check_pip,
        "airflow": check_airflow,
        "export": check_export,
        "make": lambda words, _: check_make(words),
        "voice-sandbox": lambda words, _: sandbox_parser().parse_args(words),
        "voice-outreach": lambda words, _: outreach_parser().parse_args(words),
        "voice-policy": lambda words, _: policy_parser().parse_args(words),
        "pytest": lambda words, _: [(DOCS / "examples" / word).stat() for word in words],
    }
    checks[words[0]](words[1:], monkeypatch)


def check_pip(words, monkeypatch) -> None:
    assert words[0] == "install"
    for word in words[1:]:
        if word.startswith("airflow-provider-voice"):
            assert set(re.findall(r"\w+", word.partition("[")[2])) <= set(EXTRAS)


def check_make(words) -> None:
    assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def check_airflow(words, monkeypatch) -> None:
    if words in (["db", "migrate"], ["dags", "reserialize"], ["standalone"]):
        return
    if words[:2] == ["dags", "test"]:
        assert (ROOT / "dags_examples" / f"{words[2]}.py").exists()
        return
    assert words[:4] == ["connections", "add", "voice_default", "--conn-json"]
    check_connection(words[4], monkeypatch)


def check_export(words, monkeypatch) -> None:
    name, _, value = words[0].partition("=")
    if name.startswith("AIRFLOW__"):
        _, section, option = name.lower().split("__")
        assert option in get_provider_info()["config"][section]["options"]
        return
    if name == "CALL_ARCHIVE":
        assert f'"{name}"' in (ROOT / "dags_examples" / "archive_calls.py").read_text()
        return
    assert name == "AIRFLOW_CONN_VOICE_DEFAULT"
    check_connection(value, monkeypatch)


def check_connection(value, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", value)
    assert VoiceHook.for_connection("voice_default").vendor.settings.default_agent_id
