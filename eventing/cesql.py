"""CloudEvents SQL 1.0, the `cesql` dialect of a Trigger: an expression over attributes that is true or false.

It does what Knative's implementation does (github.com/cloudevents/sdk-go/sql/v2), also where that surprises:
a sign sticks to the digits after it, so `1 -1` is no subtraction; AND, OR and XOR bind alike, to the right;
what fails on an event (an attribute that is not there, a cast, a division by zero) makes the filter false. It
counts characters where that counts bytes. Attributes are strings, so the type of every expression is known
when it is compiled, and one that is no condition is refused.
"""

import re
from collections.abc import Callable
from typing import Final

from eventing.cesql_functions import FUNCTIONS, Failure, wrap
from eventing.cesql_operators import Attributes, Expression, binary, coerce, like_pattern, negate

Reader = Callable[[str], Callable[[Attributes], str]]

MAX_TOKENS: Final = 200
MAX_DIGITS: Final = 400  # leading zeros included
_TOKEN = re.compile(
    r"""[ \t\r\n]+
    | (?P<string>"(?:\\.|""|[^"\\])*"|'(?:\\.|''|[^'\\])*')
    | (?P<word>(?=\d*[A-Za-z])[A-Za-z0-9_]+)
    | (?P<integer>[+-]?\d+)
    | (?P<symbol><=|>=|<>|!=|[-+*/%=<>(),])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_KEYWORDS = frozenset(("AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"))
_ALWAYS_THERE = frozenset(("specversion", "id", "source", "type"))

# How tightly an operator binds to what is left and right of it (the order of alternatives in CESQLParser.g4).
_LIKE, _IN, _PREFIX = 9, 7, 10
_BINARY: dict[str, tuple[int, int]] = (
    dict.fromkeys(("*", "/", "%"), (6, 7))
    | dict.fromkeys(("+", "-"), (5, 6))
    | dict.fromkeys(("=", "!=", "<>", "<", "<=", ">", ">="), (4, 5))
    | dict.fromkeys(("AND", "OR", "XOR"), (3, 3))
)


class BadExpression(ValueError):
    """An expression that does not parse or is no condition."""


def compile_cesql(text: str, read: Reader) -> Callable[[Attributes], bool]:
    """The condition as a function of the attributes; `read(name)` gives the reader of one that is there.

    Raises BadExpression.
    """
    condition = _Parser(text, read).condition()

    def matches(attributes: Attributes) -> bool:
        try:
            return bool(condition.value(attributes))
        except Failure:
            return False

    return matches


class _Parser:
    """Precedence climbing over the tokens, which are pairs of a kind and a text; keywords are in capitals."""

    def __init__(self, text: str, read: Reader) -> None:
        self._read = read
        self._tokens = _tokens(text)
        self._at = 0

    def condition(self) -> Expression:
        expression = self._expression(0)
        if self._kind != "end":
            raise BadExpression(f"{self._text!r} is not expected: put an operator before it")
        if expression.type is not bool:
            raise BadExpression("it must be true or false: compare the value with something")
        return expression

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1]

    def _next(self) -> str:
        text = self._text
        self._at += self._kind != "end"
        return text

    def _take(self, *symbols: str) -> bool:
        """Whether the next token is one of these symbols or keywords; if so, step over it."""
        found = self._kind in ("symbol", "keyword") and self._text in symbols
        self._at += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise BadExpression(f"{symbol!r} is expected, not {self._text!r}")

    def _expression(self, level: int) -> Expression:
        left = self._operand()
        while self._kind in ("symbol", "keyword"):
            start = self._at
            negated = self._take("NOT")
            word = self._next()
            if word == "LIKE" and level <= _LIKE:
                left = self._like(left)
            elif word == "IN" and level <= _IN:
                left = self._in(left)
            elif not negated and word in _BINARY and level <= _BINARY[word][0]:
                left = binary(word, left, self._expression(_BINARY[word][1]))
            else:
                self._at = start
                break
            if negated:
                left = negate(left)
        return left

    def _operand(self) -> Expression:
        kind = self._kind
        if kind == "integer":
            digits = self._next()
            number = int(digits) if len(digits) <= MAX_DIGITS else 2**31
            if not -(2**31) <= number < 2**31:
                raise BadExpression(f"{digits[:20]} is outside 32 bits")
            return Expression(int, lambda _: number)
        if kind == "string":
            text = _unquote(self._next())
            return Expression(str, lambda _: text)
        if kind == "word":
            word = self._next()
            return self._call(word) if self._take("(") else self._attribute(word)
        if self._take("NOT"):
            return negate(self._expression(_PREFIX + 1))
        if self._take("-"):
            number_of = coerce(int, self._expression(_PREFIX))
            return Expression(int, lambda attributes: wrap(-number_of(attributes)))
        if self._take("EXISTS"):
            return self._exists()
        if self._take("("):
            inner = self._expression(0)
            self._expect(")")
            return inner
        truth = self._text == "TRUE"
        if self._take("TRUE", "FALSE"):
            return Expression(bool, lambda _: truth)
        raise BadExpression(f"a value is expected, not {self._text!r}")

    def _attribute(self, word: str) -> Expression:
        name = _name(word)
        read = self._read(name)

        def value(attributes: Attributes) -> str:
            if name not in attributes:
                raise Failure(f"attribute {name} is missing")
            return read(attributes)

        return Expression(str, value)

    def _exists(self) -> Expression:
        if self._kind != "word":
            raise BadExpression(f"EXISTS needs the name of an attribute, not {self._text!r}")
        name = _name(self._next())
        return Expression(bool, lambda attributes: name in _ALWAYS_THERE or name in attributes)

    def _like(self, left: Expression) -> Expression:
        if self._kind != "string":
            raise BadExpression(f"LIKE needs a pattern in quotes, not {self._text!r}")
        pattern = like_pattern(_unquote(self._next()))
        text_of = coerce(str, left)
        return Expression(bool, lambda attributes: pattern.fullmatch(text_of(attributes)) is not None)

    def _in(self, left: Expression) -> Expression:
        self._expect("(")
        members = [coerce(left.type, member) for member in self._list()]
        if not members:
            raise BadExpression("IN needs at least one value")

        def value(attributes: Attributes) -> bool:
            wanted = left.value(attributes)
            return any(member(attributes) == wanted for member in members)

        return Expression(bool, value)

    def _call(self, word: str) -> Expression:
        arguments = self._list()
        name = word.upper()
        function = FUNCTIONS.get((name, len(arguments))) or FUNCTIONS.get((name, None))
        if function is None or len(arguments) < len(function.parameters):
            raise BadExpression(f"there is no function {name} of {len(arguments)} arguments")
        types = [*function.parameters, *[str] * (len(arguments) - len(function.parameters))]
        values = [
            coerce(type_, argument) if type_ is not object else argument.value
            for type_, argument in zip(types, arguments, strict=True)
        ]
        return Expression(
            function.result, lambda attributes: function.run(*(value(attributes) for value in values))
        )

    def _list(self) -> list[Expression]:
        """Expressions up to the closing bracket."""
        found: list[Expression] = []
        if self._take(")"):
            return found
        found.append(self._expression(0))
        while self._take(","):
            found.append(self._expression(0))
        self._expect(")")
        return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadExpression(f"{text[at]!r} is not expected")
        at = match.end()
        if match.lastgroup is not None:
            word = match[0].upper()
            keyword = match.lastgroup == "word" and word in _KEYWORDS
            found.append(("keyword", word) if keyword else (match.lastgroup, match[0]))
    if not found or len(found) > MAX_TOKENS:
        raise BadExpression(f"it must have from 1 to {MAX_TOKENS} words and signs, not {len(found)}")
    return [*found, ("end", "the end")]


def _name(word: str) -> str:
    if "_" in word:
        raise BadExpression(f"{word!r} is no attribute name: use letters and digits")
    return word.lower()


def _unquote(literal: str) -> str:
    quote = literal[0]
    return literal[1:-1].replace("\\" + quote, quote)
