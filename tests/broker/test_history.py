"""Looking at events that the JSON format cannot carry as they are."""

import base64

from tests.broker.conftest import BrokerProcess


async def test_old_events_with_data_of_no_known_type(broker: BrokerProcess) -> None:
    """specversion 0.3 has no data_base64: one such event must not hide the others."""
    await broker.start(BrokerProcess.yaml())
    headers = {"ce-specversion": "0.3", "ce-id": "old", "ce-source": "/s", "ce-type": "t"}
    async with broker.session.post(
        broker.url + "/test/default", data=b"\xff{", headers=headers, skip_auto_headers=["content-type"]
    ) as answer:
        assert answer.status == 202
    assert await broker.send("new") == 202
    new, old = (entry["event"] for entry in (await broker.get("/-/events"))["events"])
    assert new["id"] == "new"
    assert old["id"] == "old"
    assert base64.b64decode(old["data_base64"]) == b"\xff{"
