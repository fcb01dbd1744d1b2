"""Several workers of one function answer for all of them, whichever is asked."""

from tests.functions.conftest import StartFunction

COUNTED = 'tradewind_query_requests_total{operation="getHealth",status="200"}'


def test_workers_add_up(start_function: StartFunction) -> None:
    query = start_function("query", WORKERS="2", THREADS="1")
    before = query.metric(COUNTED)
    for _ in range(40):
        assert query.get("/healthz").status == 200
    assert {query.metric(COUNTED) - before for _ in range(20)} == {40}
    assert query.metric("tradewind_build_info{") == 1
    assert query.stop() == 0
