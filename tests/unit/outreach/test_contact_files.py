"""Files of contacts: malformed ones are refused with line and column."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.outreach.contact_files import read_rows

pytestmark = pytest.mark.once


def table(names: list[str], *columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays([pa.array(["+14155552671"]), *columns], ["to", *names]), buffer)
    return buffer.getvalue()


NOT_UTF8 = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])


def read(name: str, content: bytes) -> list[dict]:
    return list(read_rows(name, io.BytesIO(content)))


def test_csv() -> None:
    content = '\ufeffto,name\r\n+14155552671,"Ada\nLovelace"\r\n\r\n+14155552672,\r\n'.encode()
    assert read("a.csv", content) == [
        {"to": "+14155552671", "name": "Ada\nLovelace"},
        {"to": "+14155552672", "name": None},
    ]


def test_jsonl() -> None:
    assert read("a.jsonl", b'{"to": "1"}\n\n{"to": "2"}\n') == [{"to": "1"}, {"to": "2"}]


def test_parquet() -> None:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"to": ["1", None]}), buffer)
    assert read("a.PARQUET", buffer.getvalue()) == [{"to": "1"}, {"to": None}]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("a.csv", b"", "line 1, column 1"),
        ("a.csv", b"to,to\n", "line 1, column 2"),
        ("a.csv", b"to,\n", "line 1, column 2"),
        ("a.csv", b"to,name\n1,2\n1\n", "line 3, column 2"),
        ("a.csv", b"to,name\n1,2\n1,2,3\n", "line 3, column 3"),
        ("a.csv", b'to,name\n1,"2\n3,4\n', "line 3, column 1"),
        ("a.csv", b"to,name\n1,\xff\n", "line 2, column 3"),
        ("a.jsonl", b'{"to": 1}\n{"to" 2}\n', "line 2, column 7"),
        ("a.jsonl", b'{"to": 1}\n[1]\n', "line 2, column 1"),
        ("a.jsonl", b'{"to": 1}\n{"to": 1, "to": 2}\n', "line 2, column 1: an object uses a name twice"),
        ("a.jsonl", b'{"to": 1}\n{"to": ' + b"1" * 5000 + b"}\n", "line 2, column 1"),
        ("a.parquet", b"no", "not a readable Parquet file"),
        ("a.parquet", table(["to"], pa.array(["+14155552672"])), "column 2: the column name 'to' is used twice"),
        ("a.parquet", table(["name"], NOT_UTF8), "not a readable Parquet file: 'utf-8' codec"),
        ("a.parquet", table(["at"], pa.array([2**62], pa.timestamp("us"))), "not a readable Parquet file: date value"),
        ("a.parquet", table(["at"], pa.array([0], pa.timestamp("us", "No/Zone"))), "not a readable Parquet file"),
        ("a.txt", b"", "not from 'a.txt'"),
    ],
)
def test_malformed(name, content, where) -> None:
    with pytest.raises(InvalidRequest, match=where):
        read(name, content)


def test_values_in_the_place_of_a_header_are_not_shown() -> None:
    with pytest.raises(InvalidRequest, match="line 1, column 4: the column name is used twice") as refused:
        read("a.csv", b"7,+14155552671,Lovelace,Lovelace\n")
    assert "Lovelace" not in str(refused.value)
