"""CloudEvents SQL: operators, casts, functions, precedence, and what is refused at load time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.filters import BadFilter, compile_filters

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "https://example.com/gen",
    "type": "trade.executed.v1",
    "subject": "ASPS",
    "time": "2026-01-31T10:30:00.100+01:00",
    "volume": "250",
    "flag": "TRUE",
}


def holds(expression: str, event: dict[str, str] = EVENT) -> bool:
    return compile_filters(None, [{"cesql": expression}])(event)


@pytest.mark.parametrize(
    "expression",
    [
        "type = 'trade.executed.v1'",
        'TYPE = "trade.executed.v1"',
        "subject <> 'AACT' and volume > 200",
        "source LIKE 'https://%' AND subject NOT LIKE '%UN'",
        "subject LIKE 'A_P_'",
        "EXISTS subject AND NOT EXISTS region",
        "volume IN (100, 250) AND subject NOT IN ('A', 'B')",
        "flag AND TRUE",
        "NOT flag = FALSE",
        "volume % 100 = 50 AND volume / 100 = 2 AND -7 / 2 = -3 AND -7 % 2 = -1",
        "2147483647 + 1 = -2147483648",
        "1 + 2 * 3 = 7 AND (1 + 2) * 3 = 9",
        "TRUE OR FALSE AND FALSE",
        "NOT (FALSE AND TRUE OR TRUE)",
        "TRUE OR missing = 'x'",
        "LENGTH(subject) = 4 AND UPPER('as') = LEFT(subject, 2) AND RIGHT(subject, 2) = 'PS'",
        "SUBSTRING(subject, 2) = 'SPS' AND SUBSTRING(subject, -2, 1) = 'P' AND SUBSTRING(subject, 0) = ''",
        "CONCAT(subject, 1, TRUE) = 'ASPS1true' AND CONCAT_WS('-', 'a', 'b') = 'a-b' AND CONCAT() = ''",
        "IS_INT(volume) AND NOT IS_INT(subject) AND IS_BOOL(flag) AND TRIM(' a ') = 'a' AND LOWER('A') = 'a'",
        "INT(volume) + 1 = 251 AND ABS(-5) = 5 AND BOOL(1) AND STRING(5) = '5' AND INT(TRUE) = 1",
        "'a\\'b' LIKE 'a_b' AND \"a\\\"b\" = 'a\"b' AND '100%' LIKE '100\\%' AND 'a.b' NOT LIKE 'a\\_b'",
        "time = '2026-01-31T09:30:00.1Z'",
        "(subject = 'ASPS')",
    ],
)
def test_conditions_that_hold(expression: str) -> None:
    assert holds(expression)
    assert not holds(f"NOT ({expression})")


@pytest.mark.parametrize(
    "expression",
    [
        "missing = 'x'",
        "missing <> 'x'",
        "missing LIKE '%'",
        "subject > 5",
        "1 / 0 = 0",
        "1 % 0 = 0",
        "ABS(-2147483648) > 0",
        "LEFT(subject, -1) = ''",
        "SUBSTRING(subject, 9) = ''",
        "SUBSTRING(subject, 2, -1) = ''",
        "subject AND TRUE",
        "'2147483648' > 0",
        "IS_INT(missing)",
    ],
)
def test_what_fails_on_an_event_is_false_either_way(expression: str) -> None:
    assert not holds(expression)
    assert not holds(f"NOT ({expression})")
    assert holds(f"TRUE OR ({expression})")


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("", "from 1 to 200"),
        ("subject", "compare the value"),
        ("1 + 1", "compare the value"),
        ("1 -1 = 0", "put an operator before it"),
        ("1+1 = 2", "put an operator before it"),
        ("subject = ", "a value is expected"),
        ("(TRUE", "')' is expected"),
        ("TRUE)", "not expected"),
        ("TRUE = # TRUE", "'#' is not expected"),
        ("subject = 'x", '"\'" is not expected'),
        ("subject LIKE type", "pattern in quotes"),
        ("subject IN ()", "at least one value"),
        ("EXISTS 'x'", "name of an attribute"),
        ("my_ext = 'x'", "no attribute name"),
        ("9999999999 > 0", "32 bits"),
        ("SQRT(4) = 2", "no function SQRT of 1"),
        ("LEFT('a') = 'a'", "no function LEFT of 1"),
        ("CONCAT_WS() = ''", "no function CONCAT_WS of 0"),
        ("NOT " * 300 + "TRUE", "from 1 to 200"),
        (" AND ".join(["TRUE"] * 101), "from 1 to 200"),
    ],
)
def test_what_does_not_parse_is_refused_with_its_place(expression: str, advice: str) -> None:
    with pytest.raises(BadFilter) as caught:
        holds(expression)
    assert str(caught.value).startswith("filters[0].cesql: ")
    assert advice in str(caught.value)


def test_an_expression_is_a_string() -> None:
    with pytest.raises(BadFilter, match="in quotes"):
        compile_filters(None, [{"cesql": True}])


@pytest.mark.parametrize(
    "expression", ["NOT " * 199 + "TRUE", " + ".join(["1"] * 99) + " = 99", "(" * 99 + "TRUE" + ")" * 99]
)
def test_the_longest_expressions_can_be_evaluated(expression: str) -> None:
    assert holds(expression) is (not expression.startswith("NOT"))


def test_a_hostile_pattern_costs_little() -> None:
    pattern = "%a" * 30 + "b"
    assert not holds(f"subject LIKE '{pattern}'", EVENT | {"subject": "a" * 20_000})


@given(st.text("ab%_", max_size=6), st.text("ab", max_size=6))
def test_like_is_its_definition(pattern: str, text: str) -> None:
    def like(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "%":
            return any(like(pattern[1:], text[cut:]) for cut in range(len(text) + 1))
        return bool(text) and pattern[0] in ("_", text[0]) and like(pattern[1:], text[1:])

    assert holds(f"ext LIKE '{pattern}'", EVENT | {"ext": text}) is like(pattern, text)


@given(st.text())
def test_any_text_is_refused_or_a_condition(text: str) -> None:
    try:
        matches = compile_filters(None, [{"cesql": text}])
    except BadFilter:
        return
    assert matches(EVENT) in (True, False)
