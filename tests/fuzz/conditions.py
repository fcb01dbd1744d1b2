"""Filters of Triggers that are nearly right, and what must hold of them."""

from random import Random
from typing import Any, Final

from eventing.cesql_functions import FUNCTIONS
from eventing.filters import BadFilter, compile_filters
from tests.fuzz.inputs import NUMBERS, TEXTS, TIMES

NAMES: Final = ("type", "source", "id", "subject", "time", "dataschema", "x", "datamediatype", "A", "", "a-b")
WORDS: Final = (
    *("AND", "OR", "XOR", "NOT", "LIKE", "NOT LIKE", "IN", "EXISTS", "TRUE", "FALSE", "(", ")", ",", "'"),
    *("=", "!=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", '"', "\\", "-2147483648", "2147483647"),
    *("'%_\\%%'", "'a''b'", "0", "-1", "type", "source", "x", "subject"),
    *sorted({name for name, _ in FUNCTIONS}),
)
DIALECTS: Final = ("exact", "prefix", "suffix", "all", "any", "not", "cesql", "sql", "")


def make_filters(random: Random) -> list[Any]:
    """`filter` and `filters` of a Trigger."""
    filters: Any = _any(random) if random.random() < 0.1 else [_filter(random, 0)]
    return [random.choice((None, None, {"attributes": {"type": "t"}}, _any(random))), filters]


def check_filters(spec: list[Any], random: Random) -> str:
    """`taken` or `refused`; what else is raised is a defect, as is an answer that is no truth value."""
    try:
        matches = compile_filters(*spec)
    except BadFilter:
        return "refused"
    for _ in range(5):
        assert matches(_attributes(random)) in (True, False)
    return "taken"


def _attributes(random: Random) -> dict[str, str]:
    needed = {name: random.choice(TEXTS) or "x" for name in ("id", "source", "type")}
    more = {
        name: random.choice(random.choice((TEXTS, TIMES, NUMBERS))) for name in random.sample(NAMES[3:8], 2)
    }
    return {"specversion": random.choice(("1.0", "0.3"))} | needed | more


def _filter(random: Random, depth: int) -> Any:
    dialect = random.choice(DIALECTS[:7] if random.random() < 0.9 else DIALECTS)
    match dialect:
        case _ if random.random() < 0.05:
            operand = _any(random)
        case "all" | "any":
            operand = [_filter(random, depth + 1) for _ in range(random.randrange(3) if depth < 4 else 0)]
        case "not":
            operand = _filter(random, depth + 1) if depth < 6 else {"exact": {"type": "t"}}
        case "cesql":
            operand = _expression(random)
        case _:
            operand = {random.choice(NAMES): random.choice(TEXTS) for _ in range(random.randrange(1, 3))}
    if random.random() < 0.02:
        for _ in range(random.choice((31, 32, 33, 500, 5_000))):
            operand, dialect = {dialect: operand}, "not"
    return {dialect: operand}


def _expression(random: Random) -> str:
    """Half by chance, half of a form that parses."""
    if random.random() < 0.5:
        separator = random.choice((" ", " ", "", "\n"))
        return separator.join(random.choice(WORDS) for _ in range(random.randrange(1, 12)))
    left = random.choice(
        ("type", "x", "source", "'a'", "1", "UPPER(x)", "LENGTH(type)", "INT(x)", "ABS(INT(x))")
    )
    right = random.choice((*WORDS[-30:], repr(random.choice(TEXTS)), random.choice(NUMBERS)))
    condition = f"{left} {random.choice(('=', '!=', '<', 'LIKE', 'IN', '+'))} {right}"
    return random.choice((condition, f"NOT ({condition})", f"{condition} OR EXISTS x", f"({condition}"))


def _any(random: Random) -> Any:
    values: tuple[Any, ...] = (
        None,
        1,
        "x",
        [],
        {},
        [[]],
        {"a": None},
        [None],
        True,
        1.5,
        {1: 2},
        [{"exact": []}],
    )
    return random.choice(values)
