"""The crash matrix notices a broken guard."""

from __future__ import annotations

import pytest

from tests.mutate_guard import survives
from tests.mutations import MUTATIONS

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("mutation", [name for name in MUTATIONS if name != "none"])
def test_a_broken_guard_is_noticed(mutation: str) -> None:
    assert not survives(mutation)
