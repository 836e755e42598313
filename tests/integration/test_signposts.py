"""A wrong turn is answered with the right way: 404s, slashes at the end, commas, misspelt members; what the ports list."""

import json
import re
from contextlib import ExitStack

import pytest

from http1 import Connection, get, post, publish, request
from redis_servers import RedisServer, wait_until
from server import Server
from sseclient import EventStream
from wsclient import TEXT, WebSocket, frame

MESSAGE = '{"channel":"c","message":1}'


def test_a_slash_at_the_end_of_a_path_changes_nothing(server):
    with EventStream(server.port, "slash", path="/sse/messages/") as sse, \
            WebSocket(server.port, "slash", path="/ws/messages/") as ws:
        assert sse.raw() and ws.read_frame()
        for number in range(2):  # lws says first whose the path is; then that is known
            answer = request(server.port, post('{"channel":"slash","message":%d}' % number, path="/messages/"))
            assert (answer.status, answer.json) == (202, {"subscribers": 2})
            assert sse.message() == ws.message() == ("slash", number)
    for path in ("/actuator/health/", "/actuator/health/liveness/", "/actuator/loggers/ROOT/"):
        assert get(server.management, path).status == 200


@pytest.mark.parametrize("path, words", [
    ("/sse", "did you mean /sse/messages?"), ("/sse/message", "did you mean /sse/messages?"),
    ("/sse/messages/x", "did you mean /sse/messages?"),
    ("/ws", "did you mean /ws/messages?"), ("/WS/Messages", "did you mean /ws/messages?"),
    ("/message", "did you mean /messages?"), ("/messages/x", "did you mean /messages?"),
    ("/subscribe", "subscribe at /sse/messages or /ws/messages"), ("/publish", "publish by POST to /messages"),
    ("/actuator/health", "on the management port"), ("/metrics", "on the management port"),
])
def test_an_unknown_path_is_answered_with_the_right_one(server, path, words):
    answer = get(server.port, path)
    assert answer.status == 404 and words in answer.error, answer.body
    answer = request(server.port, post(MESSAGE, path=path))
    assert answer.status in (404, 405) and words in answer.error, answer.body


@pytest.mark.parametrize("path, words", [
    ("/health", "did you mean /actuator/health?"), ("/actuator/metric", "did you mean /actuator/metrics?"),
    ("/liveness", "did you mean /actuator/health/liveness?"), ("/prometheus", "did you mean /actuator/prometheus?"),
    ("/messages", "on the main port"), ("/sse/messages?channels=a", "on the main port"),
    ("/nonsense", "GET / lists"),
])
def test_the_operators_port_says_where_things_are(server, path, words):
    answer = get(server.management, path)
    assert answer.status == 404 and words in answer.error, answer.body


def test_the_wrong_method_is_answered_with_the_right_request(server):
    answer = get(server.port, "/messages?channels=a")
    assert answer.status == 405 and "subscribe at /sse/messages or /ws/messages" in answer.error
    answer = request(server.port, post(MESSAGE, path="/sse/messages"))
    assert answer.status == 405 and "publish by POST to /messages" in answer.error


def test_a_websocket_at_another_path_is_shown_the_right_one(server):
    for port, where in ((server.port, "/ws/messages"), (server.management, "on the main port")):
        with WebSocket(port, path="/socket") as ws:
            assert ws.status == 404
            assert where in json.loads(ws.read_exactly(int(ws.headers["content-length"])))["error"]


def test_commas_at_the_end_of_a_list_are_ignored(server):
    for query in ("trail,", "trail,,", "trail%2C", "trail&channels="):
        with EventStream(server.port, query) as sse, WebSocket(server.port, query) as ws:
            assert sse.raw() and ws.read_frame()
            assert publish(server.port, "trail", 1).json == {"subscribers": 2}


def test_a_comma_is_in_no_channels_name_whichever_way_it_comes(server):
    words = "bad channel name 'a,b': a comma separates names"
    assert publish(server.port, "a,b", 1).error == words
    assert request(server.port, post('{"channels":["x","a,b"],"message":1}')).error == words
    assert get(server.port, "/messages?channel=a%2Cb").error == words
    with EventStream(server.port, "x&control=true") as sse:
        token = re.search(rb":control (\S+)", sse.raw()).group(1).decode()
        answer = request(server.port, post('{"subscribe":["a,b"]}', path=f"/sse/messages/{token}"))
        assert answer.json["errors"] == [{"channel": "a,b", "error": words}]
    with WebSocket(server.port, "x") as ws:
        ws.read_frame()
        ws.send(frame(TEXT, '{"event":"subscribe","data":{"channels":["a,b"]}}'))
        assert ws.event() == {"event": "error", "data": {"channel": "a,b", "error": words}}
    with EventStream(server.port, "a%2Cb") as sse:  # percent-encoded, as URLSearchParams does it: two names
        sse.raw()
        assert [publish(server.port, name, 1).json["subscribers"] for name in "ab"] == [1, 1]


def test_the_root_of_the_operators_port_lists_what_is_there(server):
    text = get(server.management, "/")
    page = get(server.management, "/", headers=["Accept: text/html,application/xhtml+xml,*/*;q=0.8"])
    assert (text.headers["content-type"], page.headers["content-type"]) == \
        ("text/plain; charset=utf-8", "text/html; charset=utf-8")
    listed = re.findall(r"^(/\S+)", text.text, re.M)
    assert listed == re.findall(r'<a href="(/\S+?)">', page.text) and "/actuator/health" in listed
    for path in listed:
        answer = get(server.management, path)
        if answer.status == 405:  # an order, not a page
            assert answer.headers["allow"] == "POST, OPTIONS", path
        else:
            assert answer.status == 200, path
    assert f"port {server.port}" in text.text and f"port {server.port}" in page.text


def test_actuator_links_to_its_pages_as_spring_boot_does(server):
    answer = get(server.management, "/actuator")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    links = answer.json["_links"]
    assert {"self", "health", "health-path", "prometheus", "metrics", "metrics-requiredMetricName", "loggers",
            "loggers-name"} == set(links)
    assert links["health"] == {"href": "http://test/actuator/health", "templated": False}
    assert links["metrics-requiredMetricName"] == \
        {"href": "http://test/actuator/metrics/{requiredMetricName}", "templated": True}
    for link in links.values():
        if not link["templated"]:
            assert get(server.management, link["href"].removeprefix("http://test")).status == 200


@pytest.mark.parametrize("path", ["/", "/actuator", "/actuator/health", "/actuator/health/readiness", "/actuator/prometheus",
                                  "/metrics", "/actuator/metrics", "/actuator/metrics/process.uptime", "/actuator/loggers",
                                  "/actuator/loggers/ROOT", "/nonsense"])
def test_head_on_the_operators_port_is_answered_as_get_without_the_body(server, path):
    """RFC 9110, 9.3.2; the next answer on the connection shows that no body came."""
    with Connection(server.management) as connection:
        status, _, headers = connection.send(f"HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n").read_head()
        answer = connection.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").read_answer()
        assert connection.send("GET /actuator/health HTTP/1.1\r\nHost: test\r\n\r\n").read_answer().json["status"] == "UP"
    assert (status, headers["content-type"]) == (answer.status, answer.headers["content-type"])
    assert int(headers["content-length"]) > 0 and headers.keys() == answer.headers.keys()


@pytest.mark.parametrize("path, allow", [
    ("/", "GET, HEAD, OPTIONS"), ("/actuator/health", "GET, HEAD, OPTIONS"),
    ("/actuator/metrics/process.uptime", "GET, HEAD, OPTIONS"), ("/actuator/loggers/ROOT", "GET, HEAD, POST, OPTIONS")])
def test_options_on_the_operators_port_names_the_methods_and_allows_no_page_more(server, path, allow):
    answer = get(server.management, path, method="OPTIONS", headers=[
        "Origin: http://localhost", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"])
    assert (answer.status, answer.body, answer.headers["allow"]) == (204, b"", allow)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert get(server.management, path, method="DELETE").headers["allow"] == allow


def test_a_host_that_is_none_gets_into_no_link(server):
    answer = request(server.management, b'GET /actuator HTTP/1.1\r\nHost: a"b\r\n\r\n')
    assert (answer.status, answer.error) == (400, "Host is malformed")
    answer = request(server.management, b"GET /actuator HTTP/1.0\r\n\r\n")
    assert answer.json["_links"]["health"]["href"] == "/actuator/health"


def channels(server):
    """None: not all workers have looked yet."""
    listed = get(server.management, "/actuator/channels").json
    return [(item["channel"], item["subscribers"]) for item in listed["channels"]] if listed["complete"] else None


def test_channels_are_not_listed_unless_an_operator_says_so(server):
    answer = get(server.management, "/actuator/channels")
    assert (answer.status, answer.error) == \
        (404, "channels are not listed here; push.channels.list=on switches the list on")
    assert "/actuator/channels" not in get(server.management, "/").text
    assert "on the management port" in get(server.port, "/actuator/channels").error


def test_the_channels_with_the_most_subscribers_come_first():
    with Server(PUSH_CHANNELS_LIST="on") as server:
        assert channels(server) == []  # at once, where there are few
        with EventStream(server.port, "a,b%22") as sse, WebSocket(server.port, "a") as ws:
            assert sse.raw() and ws.read_frame()
            wait_until(lambda: channels(server) == [("a", 2), ('b"', 1)], "both channels")
        wait_until(lambda: channels(server) == [], "their end")
        assert "/actuator/channels" in get(server.management, "/").text
        assert get(server.management, "/actuator").json["_links"]["channels"]["href"] == "http://test/actuator/channels"


def test_the_channels_of_all_workers_are_one_list():
    with RedisServer() as redis, \
            Server(PUSH_REDIS_URL=redis.url(), PUSH_WORKERS=2, PUSH_CHANNELS_LIST="on") as server, ExitStack() as streams:
        for number in range(20):  # the kernel spreads them over both
            assert streams.enter_context(EventStream(server.port, f"all,{number}")).raw()
        workers = re.findall(r'^push_worker_connections\{worker="\d"\} (\d+)$',
                             get(server.management, "/metrics").text, re.M)
        assert len(workers) == 2 and sum(map(int, workers)) == 20
        expected = [("all", 20), *((name, 1) for name in sorted(str(number) for number in range(20)))]
        for _ in range(6):  # whichever worker is asked
            wait_until(lambda: channels(server) == expected, "the sum")


def test_metrics_is_the_page_for_prometheus(server):
    answers = [get(server.management, path) for path in ("/metrics", "/actuator/prometheus")]
    assert len({answer.headers["content-type"] for answer in answers}) == 1
    names = [re.findall(r"^# TYPE (\S+)", answer.text, re.M) for answer in answers]
    assert names[0] == names[1] and "ws_connections_count" in names[0]


def test_meters_are_had_by_name_as_from_spring_boot(server):
    with WebSocket(server.port, "meters") as ws:
        ws.read_frame()
        names = get(server.management, "/actuator/metrics").json["names"]
        assert len(names) == len(set(names)) > 40
        for name in ("ws.connections.count", "ws.messages", "process.uptime", "process.cpu.usage",
                     "http.server.requests"):
            assert name in names
        for name in names:
            meter = get(server.management, f"/actuator/metrics/{name}").json
            assert meter["name"] == name and meter["measurements"] and meter["description"]
        meter = get(server.management, "/actuator/metrics/ws.connections.count").json
        assert meter["measurements"] == [{"statistic": "VALUE", "value": 1}]
        meter = get(server.management, "/actuator/metrics/push.connections?tag=transport:ws").json
        assert meter["measurements"] == [{"statistic": "VALUE", "value": 1}] and meter["availableTags"] == []
        meter = get(server.management, "/actuator/metrics/push_connections").json
        assert meter["availableTags"] == [{"tag": "transport", "values": ["ws", "sse"]}]
    for query in ("no.such", "push.connections?tag=transport:smoke"):
        answer = get(server.management, f"/actuator/metrics/{query}")
        assert answer.status == 404 and "/actuator/metrics lists" in answer.error
    assert get(server.management, "/actuator/metrics/process.uptime", method="DELETE").status == 405


def test_publishes_are_counted_as_the_origin_counts_its_requests(server):
    sample = 'http_server_requests_seconds_count{exception="None",method="POST",outcome="%s",status="%d",uri="/messages"}'
    ok, bad = sample % ("SUCCESS", 202), sample % ("CLIENT_ERROR", 400)
    assert request(server.port, post("{}")).status == 400
    before = server.metric(ok), server.metric(bad)
    assert server.publish("c", 1).status == 202 and request(server.port, post("{}")).status == 400
    assert (server.metric(ok), server.metric(bad)) == (before[0] + 1, before[1] + 1)


def test_the_process_has_its_age_and_its_share_of_the_processors(server):
    uptime = server.metric("process_uptime_seconds")
    assert 0 < uptime <= server.metric("process_uptime_seconds")
    assert 0 <= server.metric("process_cpu_usage") <= 1


def test_health_has_components_as_spring_boot_shows_them(server):
    assert get(server.management, "/actuator/health").json == {"status": "UP", "components": {
        "livenessState": {"status": "UP"}, "ping": {"status": "UP"}, "readinessState": {"status": "UP"}}}
    for path in ("/actuator/health/liveness", "/actuator/health/readiness"):
        assert get(server.management, path).json == {"status": "UP"}


def test_health_says_of_redis_why_it_is_down():
    with Server(PUSH_REDIS_URL="redis://127.0.0.1:1", wait=False) as running:
        running.process.wait_for("not ready")
        answer = get(running.management, "/actuator/health")
        assert (answer.status, answer.json["status"]) == (503, "DOWN")
        components = answer.json["components"]
        assert components["readinessState"] == {"status": "OUT_OF_SERVICE"}
        assert components["redis"]["status"] == "DOWN" and "127.0.0.1:1" in components["redis"]["details"]["error"]
        assert get(running.management, "/actuator/health/liveness").json == {"status": "UP"}


@pytest.mark.parametrize("body, wrong, right", [
    ('{"channel":"c","message":1,"tll":"5s"}', "tll", "ttl"), ('{"channel":"c","message":1,"TTL":5}', "TTL", "ttl"),
    ('{"chanel":"c","message":1}', "chanel", "channel"), ('{"channel":"c","mesage":1}', "mesage", "message"),
    ('{"chanels":["c"],"message":1}', "chanels", "channels"), ('{"message":1,"chann\\u0065ll":"c"}', "channell", "channel"),
])
def test_a_misspelt_member_of_a_publish_is_named_with_the_right_one(server, body, wrong, right):
    words = f"unknown member '{wrong}'; did you mean '{right}'?"
    answer = request(server.port, post(body))
    assert (answer.status, answer.error) == (400, words)
    answer = request(server.port, post(f"[{body}]"))
    assert answer.json == [{"error": words, "status": 400}]


@pytest.mark.parametrize("more", [
    '"id":7', '"messageId":"x"', '"channelId":1', '"channel_name":"x"', '"messages":[]', '"type":"t","tel":"1","url":""',
    '"traceparent":"x"', '"traceParent":"x"', '"Channel":"c"', '"x":{"tll":1}', '"":1', '"ref":1',
])
def test_other_members_of_a_publish_are_left_alone(server, more):
    assert request(server.port, post('{"channel":"c","message":1,%s}' % more)).status == 202


def test_a_misspelt_member_of_a_command_is_named_with_the_right_one():
    with Server(PUSH_WS_PUBLISH="on", PUSH_HISTORY_SIZE=3) as running, WebSocket(running.port, "x&acks=true") as ws, \
            EventStream(running.port, "x&control=true") as sse:
        ws.event()
        for command, wrong, right in (
                ('"subscribe","data":{"channel":"a"}', "channel", "channels"),
                ('"subscribe","data":{"channels":["a"],"reff":1}', "reff", "ref"),
                ('"unsubscribe","data":{"Channels":["a"],"ref":1}', "Channels", "channels"),
                ('"publish","data":{"channel":"a","message":1,"tll":5}', "tll", "ttl")):
            ws.send(frame(TEXT, '{"event":%s}' % command))
            event = ws.event()
            assert event["event"] == "error", event
            assert event["data"]["error"] == f"unknown member '{wrong}'; did you mean '{right}'?"
        token = re.search(rb":control (\S+)", sse.raw()).group(1).decode()
        answer = request(running.port, post('{"suscribe":["a"]}', path=f"/sse/messages/{token}"))
        assert (answer.status, answer.error) == (400, "unknown member 'suscribe'; did you mean 'subscribe'?")
        answer = request(running.port, post('{"subscribe":["a"],"unsuscribe":["x"]}', path=f"/sse/messages/{token}"))
        assert (answer.status, answer.error) == (400, "unknown member 'unsuscribe'; did you mean 'unsubscribe'?")
        ws.send(frame(TEXT, '{"event":"subscribe","data":{"channels":["a"],"idea":1,"note":""}}'))
        assert ws.event()["event"] == "subscribed"
