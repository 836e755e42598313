from http1 import get, publish
from sseclient import HEARTBEAT, EventStream


def test_the_head_says_stream_and_no_caching(server):
    with EventStream(server.port, "a") as sse:
        assert sse.status == 200
        assert sse.headers["content-type"].startswith("text/event-stream")
        assert "no-cache" in sse.headers["cache-control"]
        assert sse.headers["x-accel-buffering"] == "no"
        assert sse.headers["access-control-allow-origin"] == "*"
        assert "content-length" not in sse.headers


def test_the_events_are_byte_for_byte_those_of_the_contract(server):
    with EventStream(server.port, "qwerty") as sse:
        assert sse.raw() == HEARTBEAT
        publish(server.port, "qwerty", "hello")
        assert sse.raw() == b'event:message\ndata:{"channel":"qwerty","message":"hello"}\n\n'


def test_duplicate_channels_collapse(server):
    with EventStream(server.port, "dup,dup,dup") as sse:
        sse.raw()
        assert publish(server.port, "dup", 1).json == {"subscribers": 1}
        assert sse.message() == ("dup", 1)
        publish(server.port, "dup", 2)
        assert sse.message() == ("dup", 2)


def test_repeated_parameters_add_up(server):
    with EventStream(server.port, path="/sse/messages?channels=r1&x=y&channels=r2") as sse:
        sse.raw()
        assert publish(server.port, "r1", 1).json == {"subscribers": 1}
        assert publish(server.port, "r2", 1).json == {"subscribers": 1}


def test_last_event_id_and_other_parameters_do_no_harm(server):
    with EventStream(server.port, path="/sse/messages?a=b&channels=lei", headers=["Last-Event-ID: 7"]) as sse:
        assert sse.raw() == HEARTBEAT


def test_a_preflight_is_answered(server):
    answer = get(server.port, "/sse/messages", method="OPTIONS", headers=["Origin: https://a.example"])
    assert answer.status in (200, 204)
    assert "GET" in answer.headers["access-control-allow-methods"]


def test_a_client_that_leaves_is_forgotten(server):
    with EventStream(server.port, "leaver") as sse:
        sse.raw()
        server.wait_metric('push_connections{transport="sse"}', 1)
    server.wait_metric('push_connections{transport="sse"}', 0)
    assert publish(server.port, "leaver", 1).json == {"subscribers": 0}
