"""The bar of commands that read the whole store."""

import io

import pytest
import rich.console

from tradewind.progress import progress_bar


@pytest.mark.parametrize("total", [3_000, None])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_on_a_terminal_only(total: int | None, is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = rich.console.Console(file=out, force_terminal=is_terminal, width=100)
    monkeypatch.setattr(rich.console, "Console", lambda **_: console)

    def read_total() -> int | None:
        assert is_terminal, "reading it costs a look at the store"
        return total

    with progress_bar("reading raw trades", read_total) as count:
        count(1_000)
        count(1_000)
    assert ("reading raw trades" in out.getvalue()) == is_terminal
    assert ("2,000" in out.getvalue()) == is_terminal
