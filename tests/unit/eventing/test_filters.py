"""Trigger filters: the dialects, their algebra, and what is refused when a Trigger is loaded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.filters import BadFilter, compile_filters

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/gen/1",
    "type": "trade.executed.v1",
    "subject": "ASPS",
    "time": "2026-01-31T10:30:00.100+01:00",
    "datacontenttype": "application/json; charset=utf-8",
    "empty": "",
}
NAMES = st.sampled_from(["type", "subject", "ext"])
VALUES = st.text("abA.", min_size=1, max_size=3)
EVENTS = st.dictionaries(NAMES, VALUES)
LEAVES = st.builds(
    lambda dialect, operand: {dialect: operand},
    st.sampled_from(["exact", "prefix", "suffix"]),
    st.dictionaries(NAMES, VALUES, min_size=1, max_size=2),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda fs: {"all": fs}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda fs: {"any": fs}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda f: {"not": f}, inner),
    ),
    max_leaves=6,
)


def matches(*filters: dict[str, Any], event: dict[str, str] = EVENT) -> bool:
    return compile_filters(None, filters)(event)


@pytest.mark.parametrize(
    ("filter_", "answer"),
    [
        ({"exact": {"type": "trade.executed.v1"}}, True),
        ({"exact": {"type": "trade.executed.v1", "subject": "AACT"}}, False),
        ({"exact": {"subject": "asps"}}, False),
        ({"exact": {"absent": "x"}}, False),
        ({"prefix": {"source": "/gen"}}, True),
        ({"prefix": {"source": "gen"}}, False),
        ({"suffix": {"type": ".v1", "source": "1"}}, True),
        ({"suffix": {"type": ".v2"}}, False),
        ({"not": {"exact": {"absent": "x"}}}, True),
        ({"all": [{"exact": {"id": "1"}}, {"prefix": {"subject": "A"}}]}, True),
        ({"any": [{"exact": {"id": "2"}}, {"prefix": {"subject": "B"}}]}, False),
        ({"exact": {"time": "2026-01-31T09:30:00.1Z"}}, True),
        ({"exact": {"datamediatype": "application/json"}}, True),
    ],
)
def test_dialects(filter_: dict[str, Any], answer: bool) -> None:
    assert matches(filter_) is answer


@pytest.mark.parametrize(
    ("attributes", "answer"),
    [
        ({}, True),
        ({"type": "trade.executed.v1", "subject": "ASPS"}, True),
        ({"type": "trade.executed.v1", "subject": "AACT"}, False),
        ({"subject": ""}, True),
        ({"absent": ""}, False),
        ({"empty": ""}, False),
    ],
)
def test_attributes_are_equal_and_the_empty_value_asks_for_any(
    attributes: dict[str, str], answer: bool
) -> None:
    assert compile_filters({"attributes": attributes}, None)(EVENT) is answer


def test_filters_win_over_filter_and_no_filter_takes_everything() -> None:
    never = {"attributes": {"type": "other"}}
    assert compile_filters(never, [{"exact": {"id": "1"}}])(EVENT)
    assert not compile_filters(never, [])(EVENT)
    assert compile_filters(None, None)(EVENT)
    assert compile_filters({}, [])(EVENT)


@given(FILTERS, EVENTS)
def test_not_is_the_opposite(filter_: dict[str, Any], event: dict[str, str]) -> None:
    assert matches({"not": filter_}, event=event) is not matches(filter_, event=event)
    assert matches({"not": {"not": filter_}}, event=event) is matches(filter_, event=event)


@given(st.lists(FILTERS, min_size=1, max_size=4), EVENTS)
def test_all_and_any_are_what_their_parts_say(filters: list[dict[str, Any]], event: dict[str, str]) -> None:
    parts = [matches(filter_, event=event) for filter_ in filters]
    assert matches({"all": filters}, event=event) is all(parts)
    assert matches({"any": filters}, event=event) is any(parts)
    assert matches(*filters, event=event) is all(parts)


@given(FILTERS, st.lists(FILTERS, min_size=1, max_size=3), EVENTS)
def test_de_morgan(first: dict[str, Any], rest: list[dict[str, Any]], event: dict[str, str]) -> None:
    filters = [first, *rest]
    negated = [{"not": filter_} for filter_ in filters]
    assert matches({"not": {"all": filters}}, event=event) is matches({"any": negated}, event=event)


def deep(levels: int) -> dict[str, Any]:
    filter_: dict[str, Any] = {"exact": {"id": "1"}}
    for _ in range(levels):
        filter_ = {"not": filter_}
    return filter_


@pytest.mark.parametrize(
    ("filters", "advice"),
    [
        ([{}], "filters[0]: must have exactly one of"),
        ([{"exact": {"a": "b"}, "prefix": {"a": "b"}}], "exactly one"),
        (["exact"], "exactly one"),
        ({"exact": {"a": "b"}}, "must be a list"),
        (5, "must be a list"),
        (0, "must be a list"),
        ({}, "must be a list"),
        ("exact", "must be a list"),
        ([{"equals": {"a": "b"}}], "unknown dialect 'equals'"),
        ([{"exact": {}}], "name an attribute"),
        ([{"exact": "type"}], "must map"),
        ([{"exact": {"Type": "x"}}], "must be a letter a-z"),
        ([{"exact": {"1a": "x"}}], "must be a letter a-z"),
        ([{"prefix": {"type": ""}}], "filters[0].prefix.type: the value is empty"),
        ([{"suffix": {"type": 1.0}}], "put it in quotes"),
        ([{"exact": {"id": "1"}}, {"any": []}], "filters[1].any: must be a list with at least one"),
        ([{"all": [{"not": {"exact": {"a": True}}}]}], "filters[0].all[0].not.exact.a"),
        ([{"not": [{"exact": {"a": "b"}}]}], "exactly one"),
        ([deep(33)], "nested more than 32"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(filters: Any, advice: str) -> None:
    with pytest.raises(BadFilter) as caught:
        compile_filters(None, filters)
    assert advice in str(caught.value)


WRONG_FILTERS = [
    *({"attribute": {}}, {"attributes": {"A": "x"}}, {"attributes": {"a": 1}}),
    *({"attributes": 5}, {"attributes": []}, {"attributes": "type"}, 5, 0, "", [], ["attributes"]),
]


@pytest.mark.parametrize("filter_", WRONG_FILTERS)
def test_a_wrong_attributes_filter_is_refused(filter_: Any) -> None:
    with pytest.raises(BadFilter):
        compile_filters(filter_, None)


def test_nesting_up_to_the_bound_is_taken() -> None:
    assert matches(deep(32))
