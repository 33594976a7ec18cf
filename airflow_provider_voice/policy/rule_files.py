"""Rule files: the shipped ones and those on disk. Each is read once per process, until it changes on disk."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.phone import mask_numbers_in, shown
from airflow_provider_voice.policy.rule_format import RuleFile, parse_rule_file

if TYPE_CHECKING:
    import os


def shipped_names() -> tuple[str, ...]:
    """Return the names of the rule files that come with the package."""
    folder = files(__package__).joinpath("rules")
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_rule_file(source: str | os.PathLike[str]) -> RuleFile:
    """Return a rule file; the same file is read once per process, until it changes on disk.

    :param source: the name of a shipped file, such as ``us``, or a path.
    :return: the checked file.
    :raises InvalidRequest: when there is no such file or it disagrees with the format.
    """
    if not isinstance(source, str | Path) or not str(source).strip():
        raise InvalidRequest(f"A rule file is a name or a path, not {shown(source)}. Write 'us' or 'company.yaml'.")
    if isinstance(source, str) and not _looks_like_path(source):
        return _shipped_file(source)
    path = Path(source).absolute()  # the cache outlives a change of the working directory
    try:
        status = path.stat()
        return _file_at(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise InvalidRequest(
            f"The rule file {mask_numbers_in(repr(str(source)))} cannot be read ({error.strerror}). Give the path of a "
            "YAML file; a relative one starts at the working directory of the process."
        ) from None  # the system's error quotes the path, which may be a number that was meant for another argument


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.lower().endswith((".yaml", ".yml"))


@lru_cache(maxsize=64)
def _shipped_file(name: str) -> RuleFile:
    if name not in shipped_names():
        raise InvalidRequest(
            f"There is no shipped rule file {shown(name)}. Write one of {', '.join(shipped_names())}, or the path of a "
            "file that ends in .yaml."
        )
    # Tests look up the calendars of the shipped files, so that no DAG file that loads one pays for the import.
    path = files(__package__) / "rules" / f"{name}.yaml"
    return parse_rule_file(path.read_bytes(), name, check_calendars=False)


@lru_cache(maxsize=64)
def _file_at(path: Path, _modified_ns: int, _size: int) -> RuleFile:
    return parse_rule_file(path.read_bytes(), path.name)
