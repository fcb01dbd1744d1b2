"""What commands print: numbers with their noun, and the text of others so that it is only text."""


def plural(count: int, noun: str) -> str:
    """`1 trade`, `2,000 trades`, `0 trades`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def printable(text: str) -> str:
    """One line, with escapes for all that a terminal would obey or not show: events come from anywhere."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
