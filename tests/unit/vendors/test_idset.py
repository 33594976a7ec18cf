from __future__ import annotations

import tracemalloc
import uuid

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.vendors.idset import IdSet


@given(st.lists(st.text(max_size=20)))
def test_it_says_what_a_set_says(texts) -> None:
    ids, plain = IdSet(), set()
    for text in texts:
        assert (text in ids) == (text in plain)
        assert ids.add(text) == (text not in plain)
        plain.add(text)
        assert len(ids) == len(plain)


def test_a_hundred_thousand_ids_take_little_memory() -> None:
    tracemalloc.start()
    ids = IdSet()
    for _ in range(100_000):
        ids.add(str(uuid.uuid4()))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ids) == 100_000
    assert size < 4_000_000
