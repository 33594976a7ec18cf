from __future__ import annotations

import tracemalloc
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.vendors import idset
from airflow_provider_voice.vendors.idset import IdSet


@pytest.mark.parametrize(("exact", "first_size"), [(1 << 17, 1 << 18), (3, 8), (0, 4)])
@given(texts=st.lists(st.text(max_size=20)))
def test_it_says_what_a_set_says(exact, first_size, texts) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idset, "EXACT", exact)
        patch.setattr(idset, "_FIRST_SIZE", first_size)
        ids, plain = IdSet(), set()
        for text in texts:
            assert (text in ids) == (text in plain)
            assert ids.add(text) == (text not in plain)
            plain.add(text)
            assert len(ids) == len(plain)


def test_many_ids_take_little_memory(monkeypatch) -> None:
    monkeypatch.setattr(idset, "EXACT", 1000)
    monkeypatch.setattr(idset, "_FIRST_SIZE", 4096)
    tracemalloc.start()
    ids = IdSet()
    for _ in range(100_000):
        ids.add(str(uuid.uuid4()))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ids) == 100_000
    assert size < 4_000_000
