"""The table of requests and their answers (front_door/*.txt), over each wire: direct sockets, whose routes pushd tells or lws is
asked for (stock lwsws), lws' own, and TLS."""

import concurrent.futures
import ssl

import pytest

import request_table
from h2client import make_certificate
from http1 import Connection, request
from ports import free_port
from redis_servers import wait_until
from server import SOURCE, Server

ROWS = [row for file in ("methods", "heads", "bodies", "connections", "streams", "smuggling")
        for row in request_table.read(file)]
AT_A_TIME = 16  # some rows wait for a time to be over


def tls_vhost(folder, port):
    """The project's own vhost of clients once more, with TLS."""
    certificate, key = make_certificate(folder)
    tls = f'"port": "{port}", "host-ssl-cert": "{certificate}", "host-ssl-key": "{key}", "alpn": "http/1.1"'
    text = (SOURCE / "conf.d/10-push").read_text()
    for old, new in (('"name": "push"', '"name": "tls"'), ('"port": "8080"', tls),
                     ("/usr/share/push/mounts", str((SOURCE / "mounts").resolve())),
                     ('"push-broker": { "status": "ok" }', '"push-broker": { "push-broker-vhost": "push" }')):
        assert old in text
        text = text.replace(old, new)
    return text, ssl.create_default_context(cafile=certificate)


@pytest.fixture(scope="module")
def wires(tmp_path_factory):
    """How to connect to each: a port, and maybe TLS on it."""
    port = free_port()
    vhost, context = tls_vhost(tmp_path_factory.mktemp("tls"), port)
    with Server(conf_d={"30-tls": vhost}, PUSH_DIRECT="on") as direct, Server(PUSH_DIRECT="off") as lws, \
            Server(stock=True, options={"push-direct": "on"}) as asked:
        wait_until(lambda: request(asked.port, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status == 204, "the port is taken over")
        yield {"direct": (direct, {"port": direct.port}),
               "asked": (asked, {"port": asked.port}),
               "pieces": (direct, {"port": direct.port, "kind": request_table.Pieces}),
               "lws": (lws, {"port": lws.port}),
               "tls": (direct, {"port": port, "wrap": lambda plain: context.wrap_socket(plain, server_hostname="localhost")})}


@pytest.fixture(scope="module")
def results(wires):
    """Of all rows, which are sent side by side: by wire and row."""
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {(wire, row.file, row.name): pool.submit(request_table.run, row, wire, server.port, f"{wire[0]}{number:03}", **where)
               for wire, (server, where) in wires.items() for number, row in enumerate(ROWS)
               if wire != "pieces" or row.may_be_cut}


@pytest.mark.parametrize("wire", ["direct", "asked", "pieces", "lws", "tls"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.file}: {row.name}")
def test_a_request_is_answered_as_the_table_says(request, results, wire, row):
    if missing := row.script(wire).missing:
        request.node.add_marker(pytest.mark.xfail(strict=True, reason=missing))
    if (wire, row.file, row.name) in results:
        results[wire, row.file, row.name].result()
    else:
        assert wire == "pieces" and not row.may_be_cut
