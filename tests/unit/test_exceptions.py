from __future__ import annotations

import pickle

import pytest

from airflow_provider_voice import exceptions
from airflow_provider_voice.exceptions import CallNotCompleted, RateLimited, VoiceError, error_from_dict

CLASSES = [item for item in vars(exceptions).values() if isinstance(item, type) and issubclass(item, VoiceError)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_survives_pickle_and_json(cls) -> None:
    error = cls("what happened", vendor="talkover", status_code=400, code="X", request_id="r", permanent=False)
    for copy in (pickle.loads(pickle.dumps(error)), error_from_dict(error.to_dict())):
        assert type(copy) is cls
        assert vars(copy) == vars(error)
        assert copy.message == "what happened"


def test_what_may_be_tried_again() -> None:
    passing = {cls.__name__ for cls in CLASSES if not cls().permanent}
    assert passing == {"RateLimited", "VendorUnavailable", "WarehouseFailed", "StorageFailed", "LedgerFailed"}
    assert RateLimited("slow down", retry_after=3).retry_after == 3
    assert CallNotCompleted("busy", status="busy").status == "busy"


def test_an_unknown_class_is_still_an_error() -> None:
    assert type(error_from_dict({"class": "Nonsense", "message": "m"})) is VoiceError
