"""Bytes, ends and resets through a relay, on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from dataplane.l4 import relay
from tests.fakes.contract import endpoint, partial
from tests.fakes.relayed import payload, relayed
from tests.fakes.sockets import full_queue, is_refused, origin, until, unused_port


async def test_bytes_go_both_ways_and_the_record_says_so() -> None:
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        client.send(b"hello")
        served = await app.accepted()
        assert await served.exactly(5) == b"hello"
        served.send(b"hi")
        assert await client.exactly(2) == b"hi"
        client.finish()
        assert await served.rest() == b""
        served.close()
        assert await client.rest() == b""
        flow = await tested.flow()
        assert (flow.listener, flow.backend, flow.endpoint, flow.target) == ("tcp", "app", "e0", "default/e0")
        assert (flow.bytes_in, flow.bytes_out, flow.attempts, flow.outcome) == (5, 2, 1, "ok")
        assert (flow.phase_at_pick, flow.phase_at_end, flow.method, flow.status) == ("ready", "ready", b"", 0)
        assert 0 < flow.connect_s <= flow.first_byte_s <= flow.total_s
        client.close()
        assert await tested.is_settled()


async def test_an_endpoint_may_speak_first() -> None:
    async with origin(echo=b"220 ready\r\n") as app, relayed(app) as tested:
        client = await tested.client()
        assert await client.exactly(11) == b"220 ready\r\n"
        client.close()
        assert (await tested.flow()).outcome == "ok"


async def test_an_open_connection_keeps_no_task() -> None:
    async with origin(echo=b"ready") as app, relayed(app) as tested:
        client = await tested.client()
        assert await client.exactly(5) == b"ready"
        await until(lambda: [each._dial for each in tested.relays._live] == [None])
        client.close()
        assert (await tested.flow()).outcome == "ok"


async def test_a_client_that_has_ended_its_side_still_gets_the_answer() -> None:
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        client.send(b"question")
        client.finish()
        served = await app.accepted()
        assert await served.rest() == b"question"
        served.send(b"answer")
        assert await client.exactly(6) == b"answer"
        assert not tested.records
        served.close()
        assert await client.rest() == b""
        assert (await tested.flow()).outcome == "ok"


async def test_an_endpoint_that_has_ended_its_side_still_gets_the_client_s_bytes() -> None:
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        served = await app.accepted()
        served.finish()
        assert await client.rest() == b""
        client.send(b"more")
        assert await served.exactly(4) == b"more"
        client.finish()
        assert await served.rest() == b""
        assert (await tested.flow()).outcome == "ok"


async def test_a_reset_by_the_endpoint_is_a_reset_for_the_client() -> None:
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        served = await app.accepted()
        served.send(b"half an ans")
        assert await client.exactly(11) == b"half an ans"
        served.reset()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await tested.flow()).outcome == "reset"
        assert await tested.is_settled()


async def test_a_reset_by_the_client_is_a_reset_for_the_endpoint() -> None:
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        client.send(b"x")
        served = await app.accepted()
        await served.exactly(1)
        client.reset()
        with pytest.raises(ConnectionResetError):
            await served.rest()
        assert (await tested.flow()).outcome == "client_abort"
        assert await tested.is_settled()


async def test_a_client_that_resets_after_the_whole_answer_has_had_it() -> None:
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        served = await app.accepted()
        served.send(b"answer")
        served.finish()
        assert await client.rest() == b"answer"
        client.reset()
        assert (await tested.flow()).outcome == "ok"
        served.close()


async def test_a_refused_connection_is_not_tried_elsewhere() -> None:
    async with origin() as app, relayed(unused_port(), app) as tested:
        client = await tested.client()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        flow = await tested.flow()
        assert (flow.outcome, flow.endpoint, flow.attempts, flow.connect_s) == ("refused", "e0", 1, -1.0)
        assert tested.backend.endpoints["e0"].failed == 1
        assert app.connections.empty()
        assert await tested.is_settled()


async def test_a_retry_policy_tries_others_up_to_its_number() -> None:
    async with origin(echo=b"!") as app, relayed(unused_port(), app, retry="ingress-nginx", tries_max=3) as tested:
        client = await tested.client()
        client.send(b"kept")
        assert await client.exactly(5) == b"!kept"
        client.close()
        flow = await tested.flow()
        assert (flow.outcome, flow.endpoint, flow.attempts) == ("ok", "e1", 2)
        assert await tested.is_settled()
    async with relayed(unused_port(), unused_port(), unused_port(), retry="ingress-nginx", tries_max=2) as tested:
        client = await tested.client()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        flow = await tested.flow()
        assert (flow.outcome, flow.attempts) == ("refused", 2)
        assert await tested.is_settled()


async def test_no_endpoint_is_a_reset() -> None:
    async with relayed() as tested:
        client = await tested.client()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        flow = await tested.flow()
        assert (flow.outcome, flow.endpoint, flow.attempts, flow.phase_at_pick) == ("no_endpoint", "", 0, "")
        assert await tested.is_settled()


async def test_an_endpoint_that_does_not_answer_the_dial_is_a_timeout() -> None:
    with full_queue() as port:
        async with relayed(port, connect_timeout_s=0.01) as tested:
            client = await tested.client()
            with pytest.raises(ConnectionResetError):
                await client.rest()
            flow = await tested.flow()
            assert (flow.outcome, flow.connect_s) == ("timeout", -1.0)
            assert await tested.is_settled()


async def test_a_connection_outlives_its_endpoint_s_removal() -> None:
    async with origin(echo=b"!") as app, relayed(app) as tested:
        client = await tested.client()
        assert await client.exactly(1) == b"!"
        leased = tested.backend.endpoints["e0"]
        tested.table.apply(partial(version=2, removes=(("endpoint", "app|e0"),)))
        client.send(b"still here")
        assert await client.exactly(10) == b"still here"
        client.finish()
        assert await client.rest() == b""
        flow = await tested.flow()
        assert (flow.outcome, flow.phase_at_pick, flow.phase_at_end) == ("ok", "ready", "removed")
        assert leased.active == 0


async def test_the_phases_of_pick_and_end_are_recorded() -> None:
    async with origin(echo=b"!") as app, relayed(app) as tested:
        client = await tested.client()
        await client.exactly(1)
        tested.table.apply(
            partial(endpoint("e0", port=app.port, ready=False, serving=True, terminating=True), version=2)
        )
        client.close()
        flow = await tested.flow()
        assert (flow.phase_at_pick, flow.phase_at_end) == ("ready", "serving-terminating")


@pytest.mark.parametrize("size", [1, 65_536, 3_000_001])
async def test_a_stream_arrives_byte_for_byte_in_both_directions(size: int) -> None:
    data = payload(size)
    async with origin(echo=b"!") as app, relayed(app) as tested:
        client = await tested.client()
        client.send(data)
        assert await client.exactly(size + 1) == b"!" + data
        client.finish()
        assert await client.rest() == b""
        flow = await tested.flow()
        assert (flow.bytes_in, flow.bytes_out) == (size, size + 1)


async def test_a_slow_client_stops_the_endpoint_and_memory_stays_bounded() -> None:
    size = 16 * 1024 * 1024
    async with origin() as app, relayed(app) as tested:
        client = await tested.client(rcvbuf=4096)
        served = await app.accepted()
        served.send(bytes(size))
        (live,) = tested.relays._live
        source = live.endpoint_side.transport
        assert source is not None
        await until(lambda: not source.is_reading())
        taken = live.endpoint_side.bytes
        for _ in range(200):
            await asyncio.sleep(0)
        assert live.endpoint_side.bytes == taken < size
        target = live.client.transport
        assert target is not None
        assert target.get_write_buffer_size() <= relay.HIGH_WATER + 256 * 1024  # one read of uvloop's beyond the mark
        assert len(await client.exactly(size)) == size
        served.close()
        assert await client.rest() == b""
        client.close()
        assert (await tested.flow()).bytes_out == size


async def test_while_we_dial_at_most_one_read_of_the_client_is_held() -> None:
    data = payload(8 * 1024 * 1024)
    with full_queue() as port:
        async with relayed(port, connect_timeout_s=30.0) as tested:
            client = await tested.client()
            client.send(data)
            (live,) = tested.relays._live
            await until(lambda: live._held)
            transport = live.client.transport
            assert transport is not None
            assert not transport.is_reading()
            assert len(live._held) <= 256 * 1024
            client.reset()
            live.on("client-lost")  # not read, so not seen: the kernel tells only readers and writers
            assert (await tested.flow()).outcome == "client_abort"
            assert await tested.is_settled()


async def test_what_was_held_comes_first() -> None:
    data = payload(1024 * 1024)
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        client.send(data)
        served = await app.accepted()
        assert await served.exactly(len(data)) == data
        served.close()
        client.close()
        assert await tested.is_settled()


async def test_a_client_that_leaves_while_we_dial_ends_the_dial() -> None:
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        client.reset()
        assert (await tested.flow()).outcome == "client_abort"
        assert await tested.is_settled()


async def test_a_side_that_never_ends_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "HALF_CLOSED_S", 0.001)
    async with origin() as app, relayed(app) as tested:
        client = await tested.client()
        client.finish()
        served = await app.accepted()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await tested.flow()).outcome == "timeout"
        served.close()


async def test_a_drain_waits_for_the_end_and_an_abort_makes_one() -> None:
    async with origin(echo=b"!") as app, relayed(app) as tested:
        assert await tested.relays.drained(0.001)
        client = await tested.client()
        await client.exactly(1)
        assert not await tested.relays.drained(0.001)
        waiting = asyncio.ensure_future(tested.relays.drained(5.0))
        await asyncio.sleep(0)
        tested.relays.abort()
        assert await waiting
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await tested.flow()).outcome == "drained"


async def test_many_connections_leave_nothing_behind() -> None:
    async with origin(echo=b"!") as app, relayed(app, app) as tested:
        clients = [await tested.client() for _ in range(30)]
        for client in clients:
            assert await client.exactly(1) == b"!"
        assert [item.active for item in tested.backend.endpoints.values()] == [15, 15]
        for number, client in enumerate(clients):
            client.reset() if number % 3 == 0 else client.close()
        assert await tested.is_settled()
        assert len(tested.records) == 30
    assert await is_refused(tested.port)
