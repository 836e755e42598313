"""Tokens that are taken back, and tickets, over two nodes with one Redis."""

import contextlib
import json
import time

import pytest

from http1 import get, post, request
from redis_nodes import node
from redis_servers import RedisServer, wait_until
from sseclient import EventStream
from test_live import Controlled
from tokens import Key, bearer, write_jwks
from wsclient import TEXT, WebSocket

KEY = Key()


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    write_jwks(path, KEY)
    return {"PUSH_AUTH_KEYS": str(path)}


@pytest.fixture(scope="module")
def nodes(redis, keys):
    keys = {**keys, "PUSH_HISTORY_SIZE": "10"}  # clients have names only with it
    with node(redis.url(), **keys) as one, node(redis.url(), **keys) as other:
        for each in one, other:
            each.wait_metric("push_redis_peers", 1)
        yield one, other


def order(server, path, **what):
    return request(server.management, post(json.dumps(what), path=path))


def end_of(ws):
    opcode, payload = ws.next()
    assert opcode == TEXT
    return json.loads(payload).get("error"), ws.close_code()


def opened(server, headers, channel="news", more=""):
    ws = WebSocket(server.port, channel + more, headers=headers)
    assert json.loads(ws.read_frame()[1])["event"] == "ping"
    return ws


def refusal(server, headers):
    answer = get(server.port, "/sse/messages?channels=news", headers=headers)
    return answer.status, answer.error


@pytest.mark.parametrize("by, claims", [("user", {"sub": "eve"}), ("jti", {"jti": "t1", "sub": "mallory"})])
def test_what_one_node_revokes_all_disconnect_and_refuse(redis, keys, nodes, by, claims):
    one, other = nodes
    headers = bearer(KEY.token(subscribe=["news"], publish=["news"], iat=-10, **claims))
    kept = bearer(KEY.token(subscribe=["news"], sub="ann", iat=-10))
    with opened(one, headers) as here, opened(other, headers) as there, opened(other, kept) as ann:
        assert order(one, "/tokens/revoke", **{by: claims["jti" if by == "jti" else "sub"]}).status == 202
        for ws in here, there:
            assert end_of(ws) == ("the token was revoked", 4401)
        for each in one, other:
            assert refusal(each, headers) == (401, "the token was revoked")
            answer = request(each.port, post('{"channel":"news","message":1}', headers=headers))
            assert (answer.status, answer.error) == (401, "the token was revoked")
        assert request(one.port, post('{"channel":"news","message":1}', headers=bearer(KEY.token(publish=["news"])))
                       ).status == 202
        assert ann.message() == ("news", 1)
    with node(redis.url(), **keys) as later:
        wait_until(lambda: refusal_or_none(later, headers) == (401, "the token was revoked"),
                   "a node that starts later knows of it")


def refusal_or_none(server, headers):
    with EventStream(server.port, "news", headers=headers) as stream:
        if stream.status == 200:
            return None
        body = stream.read_exactly(int(stream.headers["content-length"]))
        return stream.status, json.loads(body)["error"]


def test_a_later_token_of_a_revoked_user_is_taken_by_all(nodes):
    old = bearer(KEY.token(subscribe=["news"], sub="again", iat=-60))
    new = bearer(KEY.token(subscribe=["news"], sub="again", iat=20))
    one, other = nodes
    with opened(other, new) as ws, opened(other, old) as gone:
        assert order(one, "/tokens/revoke", user="again").status == 202
        assert end_of(gone) == ("the token was revoked", 4401)
        for each in one, other:
            opened(each, new).close()
        assert request(one.port, post('{"channel":"news","message":2}', headers=bearer(KEY.token(publish=["news"])))
                       ).status == 202
        assert ws.message() == ("news", 2)


@pytest.mark.parametrize("by, name", [("channel", "gone"), ("user", "bob")])
def test_what_one_node_disconnects_is_disconnected_at_all(nodes, by, name):
    one, other = nodes
    headers = bearer(KEY.token(subscribe=["gone"], sub="bob"))
    with opened(one, headers, "gone") as here, opened(other, headers, "gone") as there:
        assert order(one, "/connections/disconnect", **{by: name}).status == 202
        for ws in here, there:
            assert end_of(ws) == ("disconnected by the operator", 4403)
    opened(other, headers, "gone").close()  # it may come back


def test_before_ends_the_connections_that_began_before_it_on_all_nodes_and_spares_later_ones(nodes):
    headers = {name: bearer(KEY.token(subscribe=["**"], sub=name, iat=-10)) for name in ("lou", "max", "ned")}
    ways = [("user", "lou", "before:user", ""), ("channel", "before:channel", "before:channel", ""),
            ("client", "tab-{}", "before:client", "&client=tab-{}")]
    with contextlib.ExitStack() as stack:
        def come(age):
            return [stack.enter_context(opened(each, headers[user], channel, more.format(f"{age}{n}")))
                    for (_, _, channel, more), user in zip(ways, headers) for n, each in enumerate(nodes)]

        old = come("x")
        before = int(time.time()) + 1
        time.sleep(before + 0.1 - time.time())
        young = come("y")
        for by, name, *_ in ways:
            for name in {name.format(f"{age}{n}") for age in "xy" for n in (0, 1)}:
                assert order(nodes[0], "/connections/disconnect", **{by: name}, before=before).status == 202
        for ws in old:
            assert end_of(ws) == ("disconnected by the operator", 4403)
        key = bearer(KEY.token(publish=["before:*"]))
        for channel in ("before:user", "before:channel", "before:client"):
            assert request(nodes[1].port, post(json.dumps({"channel": channel, "message": 1}), headers=key)).status == 202
        assert [ws.message()[1] for ws in young] == [1] * 6
        assert order(nodes[1], "/connections/disconnect", client="tab-y0").status == 202
        assert end_of(young[4]) == ("disconnected by the operator", 4403)


def test_a_ticket_of_one_node_opens_at_the_other(nodes):
    one, other = nodes
    headers = bearer(KEY.token(subscribe=["news"], sub="carl", iat=-10))
    ticket = request(one.port, post("", headers=headers, path="/auth/tickets")).json["ticket"]
    for each in other, one:
        with EventStream(each.port, path=f"/sse/messages?channels=news&ticket={ticket}") as stream:
            assert stream.status == 200
        answer = get(each.port, f"/sse/messages?channels=other&ticket={ticket}")
        assert (answer.status, answer.error) == (403, "no right to subscribe to 'other'")
    assert order(other, "/tokens/revoke", user="carl").status == 202
    wait_until(lambda: get(one.port, f"/sse/messages?channels=other&ticket={ticket}").status == 401,
               "a ticket of a revoked token opens nothing")


def test_a_stream_of_one_node_is_renewed_at_the_other(nodes):
    one, other = nodes
    client = Controlled(one.port, "a,b", headers=bearer(KEY.token(subscribe=["a", "b"], sub="dora")))
    token = KEY.token(subscribe=["b", "c"], sub="dora", exp=300)

    def renew(token):
        return request(other.port, post(json.dumps({"auth": {"token": token}}), path=client.path))

    assert renew(token).json["authenticated"]["expires_in"] >= 290
    assert client.event()[0] == "authenticated"
    assert client.event() == ("unsubscribed", {"channel": "a", "reason": "no right to subscribe to 'a'"})
    for wrong, status, error in [(KEY.token(sub="eve2"), 403, "the token is another user's"),
                                 (KEY.token(sub="dora", exp=-60), 401, "the token has expired")]:
        answer = renew(wrong)
        assert (answer.status, answer.error) == (status, error)
    client.stream.close()


def test_without_redis_a_revocation_is_carried_out_here_and_answered_with_503(keys):
    with RedisServer() as redis, node(redis.url(), **keys) as server:
        headers = bearer(KEY.token(subscribe=["news"], sub="eve", iat=-10))
        with opened(server, headers) as ws:
            redis.kill()
            answer = order(server, "/tokens/revoke", user="eve")
            assert answer.status == 503 and answer.error.startswith("carried out here")
            assert end_of(ws) == ("the token was revoked", 4401)
            assert refusal(server, headers) == (401, "the token was revoked")


def test_a_revocation_that_is_repeated_when_redis_is_back_reaches_the_others_and_those_that_start_later(keys):
    headers = bearer(KEY.token(subscribe=["news"], sub="eve", iat=-10))
    with RedisServer() as redis, node(redis.url(), **keys) as one, node(redis.url(), **keys) as other:
        one.wait_metric("push_redis_peers", 1)
        redis.kill()
        assert order(one, "/tokens/revoke", user="eve").status == 503
        assert refusal(one, headers) == (401, "the token was revoked")
        redis.restart()
        wait_until(lambda: order(one, "/tokens/revoke", user="eve").status == 202, "Redis takes it")
        wait_until(lambda: refusal_or_none(other, headers) == (401, "the token was revoked"), "the other node knows of it")
        with node(redis.url(), **keys) as later:
            assert refusal(later, headers) == (401, "the token was revoked")
        # what Redis has lost, running nodes know still
        redis.kill()
        redis.restart()
        for each in one, other:
            wait_until(lambda: each.metric("push_broker_up") == 1, "it is connected again")
            assert refusal(each, headers) == (401, "the token was revoked")


def test_all_workers_of_a_node_disconnect_and_refuse(redis, keys):
    headers = bearer(KEY.token(subscribe=["news"], sub="joe", iat=-10))
    with node(redis.url(), **keys, PUSH_WORKERS="2") as server, contextlib.ExitStack() as stack:
        clients = []

        def has_all():
            clients.append(stack.enter_context(opened(server, headers)))
            return all(server.metric(f'push_worker_connections{{worker="{n}"}}') for n in (1, 2))

        wait_until(has_all, "both workers have clients")
        assert order(server, "/tokens/revoke", user="joe").status == 202
        for ws in clients:
            assert end_of(ws) == ("the token was revoked", 4401)
        for _ in range(20):  # whichever worker takes the connection
            assert refusal(server, headers) == (401, "the token was revoked")
        assert order(server, "/connections/disconnect", channel="news").status == 202
