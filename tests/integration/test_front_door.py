"""The table of requests and their answers (front_door/*.txt), over each wire: direct sockets, whose routes pushd tells or lws is
asked for (stock lwsws), with TLS, HTTP/2 over TLS and without, and lws' own."""

import concurrent.futures
import os
import ssl

import pytest

import http2_table
import request_table
from h2client import H2, make_certificate
from http1 import request
from ports import free_port
from redis_servers import wait_until
from server import SOURCE, Server
from sseclient import HEARTBEAT, EventStream

ROWS = [row for file in ("methods", "heads", "bodies", "connections", "streams", "smuggling")
        for row in request_table.read(file)]
AT_A_TIME = 16  # some rows wait for a time to be over
WIRES = os.environ.get("TEST_WIRES", "direct asked pieces tls tls-pieces h2 h2c lws lws-tls").split()


def tls_vhost(port, certificate, key):
    """The project's own vhost of clients once more, with TLS."""
    tls = f'"port": "{port}", "host-ssl-cert": "{certificate}", "host-ssl-key": "{key}", "alpn": "h2,http/1.1"'
    text = (SOURCE / "conf.d/10-push").read_text()
    for old, new in (('"name": "push"', '"name": "tls"'), ('"port": "8080"', tls),
                     ("/usr/share/push/mounts", str((SOURCE / "mounts").resolve())),
                     ('"push-broker": { "status": "ok" }', '"push-broker": { "push-broker-vhost": "push" }')):
        assert old in text
        text = text.replace(old, new)
    return text


def is_sent(row, wire):
    """Whether what the row says can be said over the wire."""
    if wire.endswith("pieces"):
        return row.may_be_cut
    return wire not in ("h2", "h2c") or http2_table.can_say(row)


@pytest.fixture(scope="module")
def wires(tmp_path_factory):
    """How to connect to each: a port, and maybe TLS on it."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.create_default_context(cafile=certificate)
    context.set_alpn_protocols(["http/1.1"])
    with_tls = {"wrap": lambda plain: context.wrap_socket(plain, server_hostname="localhost")}
    direct_tls, lws_tls = free_port(), free_port()
    with Server(conf_d={"30-tls": tls_vhost(direct_tls, certificate, key)}, PUSH_DIRECT="on", PUSH_HTTP2_CLEARTEXT="on") as direct, \
            Server(conf_d={"30-tls": tls_vhost(lws_tls, certificate, key)}, PUSH_DIRECT="off") as lws, \
            Server(stock=True, options={"push-direct": "on"}) as asked:
        wait_until(lambda: request(asked.port, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status == 204, "the port is taken over")
        http2 = http2_table.Connections(direct_tls, certificate), http2_table.Connections(direct.port)
        yield {"direct": (direct, {"port": direct.port}),
               "asked": (asked, {"port": asked.port}),
               "pieces": (direct, {"port": direct.port, "kind": request_table.Pieces}),
               "tls": (direct, {"port": direct_tls, **with_tls}),
               "tls-pieces": (direct, {"port": direct_tls, "kind": request_table.Pieces, **with_tls}),
               "h2": (direct, {"http2": http2[0]}),
               "h2c": (direct, {"http2": http2[1]}),
               "lws": (lws, {"port": lws.port}),
               "lws-tls": (lws, {"port": lws_tls, **with_tls})}
        for connections in http2:
            connections.close()


@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_is_push_s_own_or_lws_as_its_name_says(wires, wire):
    """Before the table's rows are sent: nothing else is connected."""
    server, where = wires[wire]
    server.wait_metric("push_direct_connections", 0)
    if "http2" in where:
        with H2(where["http2"].port, where["http2"].certificate) as h2:
            assert h2.get("/sse/messages?channels=way").event() == HEARTBEAT
            assert server.metric("push_direct_connections") == 1
    else:
        with EventStream(where["port"], "way", wrap=where.get("wrap")) as events:
            assert events.raw() == HEARTBEAT
            assert server.metric("push_direct_connections") == (0 if wire.startswith("lws") else 1)


@pytest.fixture(scope="module")
def results(wires):
    """Of all rows, which are sent side by side: by wire and row."""
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {(wire, row.file, row.name): pool.submit(request_table.run, row, wire, wires[wire][0].port, f"{'abcdefghi'[WIRES.index(wire)]}{number:03}",
                                                       **wires[wire][1])
               for wire in WIRES for number, row in enumerate(ROWS) if is_sent(row, wire)}


@pytest.mark.parametrize("wire, row", [(wire, row) for wire in WIRES for row in ROWS if is_sent(row, wire)],
                         ids=lambda each: each if isinstance(each, str) else f"{each.file}: {each.name}")
def test_a_request_is_answered_as_the_table_says(request, results, wire, row):
    if missing := row.script(wire).missing:
        request.node.add_marker(pytest.mark.xfail(strict=True, reason=missing))
    results[wire, row.file, row.name].result()
