"""Two nodes behind one Redis: messages, counts, plain Redis clients, payloads of any kind, ways to connect."""

import json
import os
import random
import re
import signal
import socket
import subprocess

import pytest

from http1 import get, post, publish, request
from redis_nodes import readiness, rights, sse, two, ws
from redis_servers import RedisServer, wait_until
from server import Server
from wsclient import WebSocket


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis):
    settings = {"PUSH_REDIS_URL": redis.url(), "PUSH_DRAIN_DURATION": "100ms"}
    with Server(PUSH_MESSAGE_MAX_SIZE="2mb", **settings) as one, Server(**settings) as two:
        yield one, two


def count(node, channel):
    return publish(node.port, channel, "count").json["subscribers"]


def test_a_message_published_at_one_node_reaches_clients_of_all(nodes):
    clients = [kind(node, "all") for node in nodes for kind in (ws, sse)]
    for number, node in enumerate(nodes):
        assert publish(node.port, "all", number).status == 202
        for client in clients:
            assert client.message() == ("all", number)


def test_messages_of_a_channel_arrive_in_the_order_of_their_answers(nodes):
    client = ws(nodes[1], "order")
    for number in range(200):
        assert publish(nodes[0].port, "order", number).status == 202
    assert [client.message()[1] for _ in range(200)] == list(range(200))


def test_the_first_heartbeat_says_that_nothing_is_missed_from_then_on(nodes):
    for number in range(50):
        channel = f"first-{number}"
        with ws(nodes[0], channel) as client:
            assert publish(nodes[1].port, channel, number).json == {"subscribers": 1}
            assert client.message() == (channel, number)


def test_subscribers_counts_the_clients_of_all_nodes_and_plain_redis_clients(redis, nodes):
    clients = [ws(nodes[0], "count"), ws(nodes[0], "count,other"), sse(nodes[1], "count")]
    with redis.subscribe("count"), redis.subscribe("count"):
        for node in nodes:
            wait_until(lambda n=node: count(n, "count") == 5, "3 clients and 2 of Redis")
        clients.pop().close()
        for node in nodes:
            wait_until(lambda n=node: count(n, "count") == 4, "one client less")
    for node in nodes:
        wait_until(lambda n=node: count(n, "count") == 2, "no Redis clients")
    assert count(nodes[0], "nobody") == 0


def test_a_node_that_is_killed_stops_counting_within_ten_seconds(redis, nodes):
    with Server(PUSH_REDIS_URL=redis.url()) as doomed:
        mine, its = ws(nodes[0], "doomed"), ws(doomed, "doomed")
        wait_until(lambda: count(nodes[1], "doomed") == 2, "both are counted")
        os.killpg(doomed.process.process.pid, signal.SIGKILL)
        doomed.ended = True
        its.close()
        wait_until(lambda: count(nodes[1], "doomed") == 1, "the dead node's client is not counted", 10)
        mine.close()


def test_a_node_that_ends_stops_counting_at_once(redis, nodes):
    with Server(PUSH_REDIS_URL=redis.url(), PUSH_DRAIN_DURATION="100ms") as ending:
        mine, its = sse(nodes[0], "ending"), sse(ending, "ending")
        wait_until(lambda: count(nodes[1], "ending") == 2, "both are counted")
        ending.stop()
        wait_until(lambda: count(nodes[1], "ending") == 1, "one is left", 2)
        mine.close()
        its.close()


def test_a_plain_publish_of_redis_reaches_clients(redis, nodes):
    clients = [ws(nodes[0], "plain"), sse(nodes[1], "plain")]
    assert redis.command("PUBLISH", "plain", "hello") == 2
    for client in clients:
        assert client.message() == ("plain", "hello")


def test_a_plain_subscriber_of_redis_sees_strings_plain_and_all_else_in_an_envelope(redis, nodes):
    with redis.subscribe("seen") as plain:
        for value, seen in (("hello", b"hello"), ("", b""), ('say "hi"\n', b'say "hi"\n'), ("gr\u00fc\u00df", "gr\u00fc\u00df".encode()),
                            (1, b"\x1e1"), ({"a": [1, None]}, b'\x1e{"a":[1,null]}'), ("\x1e1", b'\x1e"\\u001e1"')):
            assert publish(nodes[0].port, "seen", value).json == {"subscribers": 1}
            assert plain.message() == seen


def test_json_arrives_as_it_was_written(nodes):
    clients = [ws(nodes[0], "json"), sse(nodes[1], "json")]
    for text in ('12345678901234567890123', '1.0e2', '{"b":1,"a":{"c":[]}}', 'null', 'true', '[]', '"\\u00fc"',
                 '"\\ud800"', '"\\u001ex"', '""'):
        assert request(nodes[0].port, post('{"channel":"json","message":%s}' % text)).status == 202
        for client in clients:
            raw = client.next()[1] if isinstance(client, WebSocket) else client.next()
            value = json.loads(text)
            got = json.loads(raw[raw.index(b"{"):])
            got = got["data"]["message"] if "event" in got else got["message"]
            assert got == value
            if not text.startswith('"'):
                assert b'"message":' + text.encode() in raw


HOSTILE = [b"", b"\x00", b"\xff", b"\xc3", b"a\xe2\x82b", b"\xed\xa0\x80", b"\x1e", b"\x1e{", b"\x1e{}\n\n{}", b'"', b"\\", b"\r\n\r\n",
           b"data:x\n\nevent:message\n", b"\x1e\xff", b"\x1e\"\xff\"", b"\x1e 1 ", b"\xe2\x80\xa8\xe2\x80\xa9", b"\xf4\x90\x80\x80"]


def plain_meaning(payload):
    """What a payload that is no envelope means: its text, with U+FFFD for each maximal subpart."""
    return payload.decode("utf-8", "replace")


@pytest.mark.parametrize("payload", HOSTILE, ids=repr)
def test_a_payload_of_any_bytes_is_delivered_whole_and_breaks_no_frame(redis, nodes, payload):
    clients = [ws(nodes[0], "bytes"), sse(nodes[0], "bytes")]
    redis.command("PUBLISH", "bytes", payload)
    redis.command("PUBLISH", "bytes", "after")
    expected = 1 if payload == b"\x1e 1 " else plain_meaning(payload)
    for client in clients:
        assert client.message() == ("bytes", expected)
        assert client.message() == ("bytes", "after")


def test_random_bytes_are_delivered_and_replacements_counted(redis, nodes):
    source = random.Random(4)
    client = ws(nodes[0], "random")
    before = nodes[0].metric("push_redis_messages_replaced_total")
    replaced = 0
    for _ in range(300):
        payload = bytes(source.randrange(256) for _ in range(source.randrange(40))).lstrip(b"\x1e")
        replaced += "\ufffd" in plain_meaning(payload)
        redis.command("PUBLISH", "random", payload)
        assert client.message() == ("random", plain_meaning(payload))
    assert nodes[0].metric("push_redis_messages_replaced_total") - before == replaced


def test_a_megabyte_passes_in_both_directions(redis, nodes):
    client = WebSocket(nodes[1].port, "large")
    client.read_frame()
    with redis.subscribe("large") as plain:
        text = "0123456789abcdef" * 65536
        redis.command("PUBLISH", "large", text)
        assert client.message() == ("large", text)
        assert plain.message() == text.encode()
        assert publish(nodes[0].port, "large", text[:-100]).json == {"subscribers": 2}
        assert client.message() == ("large", text[:-100])
        assert plain.message() == text[:-100].encode()


def test_a_message_larger_than_the_limit_of_a_client_closes_nobody_else(redis, nodes):
    client = ws(nodes[0], "modest")
    redis.command("PUBLISH", "other", b"x" * 5_000_000)
    redis.command("PUBLISH", "modest", "fine")
    assert client.message() == ("modest", "fine")


def test_a_channel_outlives_its_last_client_a_little_and_is_then_left(redis, nodes):
    ws(nodes[0], "brief").close()
    wait_until(lambda: redis.command("PUBSUB", "NUMSUB", "brief")[1] == 1, "still subscribed")
    wait_until(lambda: redis.command("PUBSUB", "NUMSUB", "brief")[1] == 0, "not subscribed any more", 15)
    wait_until(lambda: redis.command("EXISTS", "push:clients:brief") == 0, "and its count is gone", 5)


def test_a_channel_is_subscribed_once_however_many_clients_it_has(redis, nodes):
    clients = [ws(nodes[0], "once") for _ in range(20)]
    assert redis.command("PUBSUB", "NUMSUB", "once")[1] == 1
    assert len(clients) == 20


def test_operators_see_whose_connections_these_are(redis, nodes):
    names = redis.command("CLIENT", "LIST").decode()
    assert names.count("name=push-") == 4


def test_the_private_channels_cannot_be_subscribed_to(nodes):
    assert get(nodes[0].port, "/sse/messages?channels=%1epush:nodes").status == 400
    assert publish(nodes[0].port, "\x1epush:nodes", "-0123456789abcdef").status == 400


# --- ways to connect ---

def reaches(redis, **env):
    with Server(**env) as node, ws(node, "way") as client:
        assert publish(node.port, "way", "through").json["subscribers"] == 1
        assert client.message() == ("way", "through")
        return node.process.output()


def test_a_unix_socket(redis):
    reaches(redis, PUSH_REDIS_URL="unix://" + redis.socket_path)


def test_a_name_that_has_several_addresses(redis):
    reaches(redis, PUSH_REDIS_URL=f"redis://localhost:{redis.port}")


def test_a_database_keeps_counts_apart(redis):
    with Server(PUSH_REDIS_URL=redis.url(database=3)) as node, ws(node, "db"):
        wait_until(lambda: b"db3:" in redis.command("INFO", "keyspace"), "the count is in database 3")
        assert count(node, "db") == 1


def test_the_origins_names_of_the_place_of_redis(redis):
    reaches(redis, SPRING_REDIS_HOST="127.0.0.1", SPRING_REDIS_PORT=redis.port, SPRING_REDIS_DATABASE=2)
    reaches(redis, SPRING_DATA_REDIS_URL=f"redis://127.0.0.1:{redis.port}/2")


def test_the_origins_password_is_sent_as_it_is():
    with RedisServer("--requirepass", "p@ss:w/rd%20 #") as redis:
        output = reaches(redis, SPRING_REDIS_HOST="127.0.0.1", SPRING_REDIS_PORT=redis.port,
                         SPRING_REDIS_PASSWORD="p@ss:w/rd%20 #")
        assert "p@ss" not in output


def test_the_metrics_of_every_worker_name_the_engine(redis):
    info = re.compile(r'^push_build_info\{version="[^"]+",engine="(\w+)"\} 1$', re.M)
    with Server(PUSH_REDIS_URL=redis.url(), PUSH_WORKERS=2) as node:
        # which worker answers a scrape is the kernel's choice
        for _ in range(20):
            assert info.findall(get(node.management, "/actuator/prometheus").text) == ["redis"]
    with Server() as alone:
        assert info.findall(get(alone.management, "/actuator/prometheus").text) == ["memory"]


def test_lwsws_without_pushd_understands_the_origins_names_too(redis):
    with Server(stock=True, SPRING_REDIS_HOST="127.0.0.1", SPRING_REDIS_PORT=redis.port) as one, \
            Server(PUSH_REDIS_URL=redis.url()) as other, ws(one, "stock") as client:
        assert publish(other.port, "stock", "hello").status == 202
        assert client.message() == ("stock", "hello")


def test_a_password_and_the_user_of_the_page_on_redis():
    with RedisServer("--requirepass", "gar@geheim") as redis:
        output = reaches(redis, PUSH_REDIS_URL=redis.url(":gar%40geheim@"))
        assert "geheim" not in output
        redis.command("ACL", "SETUSER", "push", "on", ">s3cret", *rights())
        output = reaches(redis, PUSH_REDIS_URL=redis.url("push:s3cret@"))
        assert "s3cret" not in output and "refuses" not in output


def test_the_user_of_the_page_on_redis_may_tell_how_many_a_message_was_written_to():
    with RedisServer() as redis:
        redis.command("ACL", "SETUSER", "push", "on", ">s3cret", *rights())
        one, other = two(redis.url("push:s3cret@"))
        with one, other, ws(other, "acl"):
            wait_until(lambda: one.metric("push_redis_peers") == other.metric("push_redis_peers") == 1, "they know each other")
            wait_until(lambda: publish(one.port, "acl", 0).json["subscribers"] == 1, "the client is counted")
            body = json.dumps({"channel": "acl", "message": 1})
            answer = request(one.port, post(body, path="/messages?wait=written"))
            assert answer.json == {"subscribers": 1, "written": 1}
            assert "refuses" not in one.process.output() + other.process.output()


@pytest.mark.parametrize("login,words", [(":wrong@", "WRONGPASS"), ("", "NOAUTH"), ("nobody:geheim@", "WRONGPASS")],
                         ids=["wrong", "none", "unknown user"])
def test_a_wrong_login_is_named_in_the_log_and_readiness_is_down(login, words):
    with RedisServer("--requirepass", "geheim") as redis:
        with Server(wait=False, PUSH_REDIS_URL=redis.url(login)) as node:
            node.process.wait_for(words)
            wait_until(lambda: readiness(node) == 503, "readiness is DOWN")
            assert get(node.management, "/actuator/health/liveness").status == 200
            answer = publish(node.port, "a", 1)
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
            assert "geheim" not in node.process.output() and "wrong@" not in node.process.output()


@pytest.fixture(scope="module")
def tls_redis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=other CA", "-keyout", "x.key", "-out", "x.pem")
    for name, subject in (("server", "DNS:localhost"), ("client", "DNS:push")):
        (folder / (name + ".ext")).write_text(f"subjectAltName={subject}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", name + ".key", "-out", name + ".csr")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2,
                "-extfile", name + ".ext", "-out", name + ".pem")
    with RedisServer(certificate=(folder / "server.pem", folder / "server.key", folder / "ca.pem")) as redis:
        redis.files = folder
        yield redis


def test_tls_with_a_ca(tls_redis):
    reaches(tls_redis, PUSH_REDIS_URL=f"rediss://localhost:{tls_redis.tls_port}", PUSH_REDIS_TLS_CA=tls_redis.files / "ca.pem")


def test_tls_with_a_certificate_of_our_own(tls_redis):
    tls_redis.command("CONFIG", "SET", "tls-auth-clients", "yes")
    files = tls_redis.files
    reaches(tls_redis, PUSH_REDIS_URL=f"rediss://localhost:{tls_redis.tls_port}", PUSH_REDIS_TLS_CA=files / "ca.pem",
            PUSH_REDIS_TLS_CERT=files / "client.pem", PUSH_REDIS_TLS_KEY=files / "client.key")
    tls_redis.command("CONFIG", "SET", "tls-auth-clients", "optional")


@pytest.mark.parametrize("host,ca,words", [
    ("localhost", "x.pem", "certificate"), ("127.0.0.1", "ca.pem", "IP address mismatch"), ("localhost", None, "certificate")],
    ids=["another CA", "another host", "the system's CAs"])
def test_tls_refuses_a_certificate_that_proves_nothing(tls_redis, host, ca, words):
    env = {"PUSH_REDIS_TLS_CA": tls_redis.files / ca} if ca else {}
    with Server(wait=False, PUSH_REDIS_URL=f"rediss://{host}:{tls_redis.tls_port}", **env) as node:
        node.process.wait_for(words)
        wait_until(lambda: readiness(node) == 503, "readiness is DOWN")


def test_a_file_of_tls_that_is_missing_stops_the_start_with_its_name():
    node = Server(wait=False, PUSH_REDIS_URL="rediss://localhost", PUSH_REDIS_TLS_CA="/no/such.pem")
    assert node.process.wait(20) == 1
    assert "push.redis.tls.ca=/no/such.pem: No such file" in node.process.output()


def test_what_is_no_redis_is_left_with_a_word():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Server(wait=False, PUSH_REDIS_URL=f"redis://127.0.0.1:{port}") as node:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            node.process.wait_for("does not speak Redis")
            connection.close()
