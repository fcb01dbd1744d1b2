import pytest

from tradewind.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5m", 90),
        ("7", 7),
        (" 2S ", 2),
    ],
)
def test_forms(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "0s", "-1s", "5 minutes", "nan", "inf", "20x", "1h-3m"])
def test_others_are_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|more than 0"):
        parse_duration(text)
