"""Other people's tests and loads of HTTP/2, over TLS and without: h2spec sends what the standard forbids, h2load many streams."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from h2client import H2, make_certificate
from ports import free_port
from server import TOOLS, Server
from test_front_door import tls_vhost

H2SPEC = TOOLS / "bin/h2spec"
CASES = 145
WAIT_S = 20  # for an answer that is due: only what fails waits so long
SLACK_S = 120
# (package, title): the reason by the standard why what is sent instead is right
EXCEPTIONS = {}


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    """Of a server on direct sockets: the port and the certificate of each wire."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    port = free_port()
    with Server(conf_d={"30-tls": tls_vhost(port, certificate, key)}, PUSH_DIRECT="on", PUSH_HTTP2_CLEARTEXT="on") as server:
        yield {"h2": (port, certificate), "h2c": (server.port, None)}, server


@pytest.fixture(params=["h2", "h2c"])
def wire(request, ports):
    server = ports[1]
    yield ports[0][request.param]
    server.wait_metric("push_direct_connections", 0)  # however badly they ended


def is_there(program):
    if not shutil.which(program):
        reason = f"no {program}: tests/run gets it"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)


def test_all_cases_of_h2spec_pass_but_those_of_which_the_standard_says_otherwise(wire, tmp_path):
    is_there(H2SPEC)
    port, certificate = wire
    report = tmp_path / "report.xml"
    run = subprocess.run([H2SPEC, "-h", "127.0.0.1", "-p", str(port), "-P", "/messages", "-o", str(WAIT_S), "-j", report,
                          *(["-t", "-k"] if certificate else [])], capture_output=True, text=True, timeout=SLACK_S)
    assert report.exists(), run.stdout[-2000:] + run.stderr
    cases = [(each.get("package"), each.get("classname"), each.find("failure")) for each in
             ElementTree.parse(report).iter("testcase")]
    failed = {(package, title): failure.text for package, title, failure in cases if failure is not None}
    assert failed.keys() == EXCEPTIONS.keys(), failed
    assert len(cases) == CASES
    with H2(port, certificate) as h2:
        assert h2.post(b'{"channel":"after","message":1}').status == 202


# 24 is what lws takes, 100 what many clients allow themselves
@pytest.mark.parametrize("streams, requests", [(28, 28), (100, 1000)])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_h2load_gets_2xx_for_all_streams_of_a_burst(wire, tmp_path, method, streams, requests):
    is_there("h2load")
    port, certificate = wire
    body = tmp_path / "body"
    body.write_text('{"channel":"load","message":1}')
    post = ["-d", body, "-H", "content-type: application/json"] if method == "POST" else []
    path = "messages" if post else "push.js"
    url = f"http{'s' if certificate else ''}://127.0.0.1:{port}/{path}"
    run = subprocess.run(["h2load", "-c", "1", "-m", str(streams), "-n", str(requests), *post, url], capture_output=True,
                         text=True, timeout=SLACK_S)
    assert re.search(rf"^status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx$", run.stdout, re.M), run.stdout + run.stderr
    assert re.search(rf" {requests} succeeded, 0 failed, 0 errored, 0 timeout$", run.stdout, re.M), run.stdout


def test_answers_wait_for_no_flush_and_for_no_other_connection(tmp_path):
    """That of a body which stalls is made by a timer, of a server that does nothing else."""
    with Server(PUSH_DIRECT="on", PUSH_HTTP2_CLEARTEXT="on", PUSH_FLUSH_DELAY="1s") as server, \
            H2(server.port, timeout=SLACK_S) as h2:
        assert h2.post(b'{"channel":"a","message":1}').whole() == b'{"subscribers":0}'
        stalled = h2.request("POST", "/messages", [("content-type", "application/json"), ("content-length", "30")], end=False)
        assert stalled.send(b"{").status == 408
