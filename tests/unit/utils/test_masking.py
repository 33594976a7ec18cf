"""Values that Airflow may use but not show."""

from __future__ import annotations

from airflow_provider_voice.phone import mask_number
from airflow_provider_voice.utils.masking import MaskedField, MaskedValue, plain

NUMBER = "+14155552671"


def masked_number(value: str) -> MaskedValue | str:
    return MaskedValue(value, mask_number(value)) if value.startswith("+") else value


def test_a_number_is_shown_masked_and_used_as_it_is() -> None:
    masked = masked_number(NUMBER)
    assert plain(masked) == NUMBER == masked
    assert f"{masked} {masked!r} {masked.serialize()}".count("+1415•••••71") == 3
    assert hash(masked) == hash(MaskedValue(NUMBER, "+1415•••••71"))


def test_a_masked_field_masks_each_value_it_is_given() -> None:
    class Ring:
        to = MaskedField(masked_number)

    one, other = Ring(), Ring()
    one.to, other.to = "{{ params.to }}", NUMBER
    assert one.to == "{{ params.to }}"
    assert (plain(other.to), str(other.to)) == (NUMBER, "+1415•••••71")
    other.to = masked = other.to
    assert other.to is masked
    one.to = None
    assert one.to is None
    one.to = NUMBER
    assert "5552671" not in repr(vars(one))
    assert isinstance(Ring.to, MaskedField)
