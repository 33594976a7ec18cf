"""The examples of ``docs/who-may-be-called.rst`` do what the page says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from airflow_provider_voice.policy.cli import main
from airflow_provider_voice.policy.rule_files import shipped_names
from airflow_provider_voice.policy.rule_format import parse_rule_file

PAGE = Path(__file__).parents[3] / "docs" / "who-may-be-called.rst"
TEXT = PAGE.read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", TEXT)
    return [textwrap.dedent(block).strip() + "\n" for block in found]


@pytest.fixture
def company(tmp_path, monkeypatch):
    (tmp_path / "company.yaml").write_text(_blocks("yaml")[0], "utf-8")
    monkeypatch.chdir(tmp_path)


def test_the_companys_own_file(company, capsys) -> None:
    command, answer = _blocks("console")[0].splitlines()
    assert main(command.removeprefix("$ voice-policy ").split()) == 0
    assert capsys.readouterr().out == answer + "\n"


def test_us_rules_and_the_companys(company) -> None:
    names: dict = {}
    exec(_blocks("python")[1], names)
    decision = names["decision"]
    assert (decision.allowed, decision.rule) == (False, "office-hours")
    assert f"{decision.next_at:%Y-%m-%d %H:%M %Z}" == "2026-11-21 15:00 UTC"


def test_the_command_of_the_page(company, capsys) -> None:
    (command,) = _blocks("console")[1].splitlines()
    assert main(command.removeprefix("$ voice-policy ").split()) == 1
    assert "NO  us-fl-hours" in capsys.readouterr().out


def test_the_format_of_the_page() -> None:
    assert len(parse_rule_file(_blocks("yaml")[2].encode(), "page").rules) == 3


def test_every_shipped_file_is_named() -> None:
    assert tuple(sorted(re.findall(r"^``(\w\w)`` ", TEXT, re.MULTILINE))) == shipped_names()


def test_it_says_once_that_it_is_no_legal_advice() -> None:
    docs = "\n".join(path.read_text(encoding="utf-8") for path in PAGE.parent.glob("*.rst"))
    assert docs.count("It informs; it is not legal advice.") == 1
    assert len(re.findall(r"legal\s+advice", docs)) == 1


def test_the_page_is_restructuredtext() -> None:
    docutils = pytest.importorskip("docutils.core")
    messages: list = []
    settings = {
        "report_level": 2,
        "halt_level": 5,
        "warning_stream": type("Log", (), {"write": lambda _, text: messages.append(text)})(),
    }
    docutils.publish_doctree(TEXT, settings_overrides=settings)
    # `make docs` checks the directives that Sphinx adds.
    assert not [message for message in messages if 'Unknown directive type "literalinclude"' not in message]
