"""What a TLS client may not do, on Push's own sockets: old versions and weak ciphers, and breaches behind the handshake."""

import os
import ssl
import subprocess

import pytest

from h2client import make_certificate
from http1 import publish
from ports import free_port
from server import SOURCE, TOOLS, Server
from test_front_door import tls_vhost

SLACK_S = 60


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    port, context = free_port(), ssl.create_default_context(cafile=certificate)
    with Server(conf_d={"30-tls": tls_vhost(port, certificate, key)}, PUSH_DIRECT="on") as running:
        running.tls_port = port
        yield running
        wrap = {"wrap": lambda plain: context.wrap_socket(plain, server_hostname="localhost")}
        assert publish(port, "after", 1, **wrap).status == 202


def s_client(tls, *options):
    run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls.tls_port}", *options], input=b"",
                         capture_output=True, timeout=SLACK_S)
    return run.returncode, (run.stdout + run.stderr).decode(errors="replace")


@pytest.mark.parametrize("options, alert", [
    (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "protocol version"),
    (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "protocol version"),
    (["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"], "handshake failure"),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"], "handshake failure"),
    (["-tls1_2", "-fallback_scsv"], "inappropriate fallback"),
], ids=["TLS 1.0", "TLS 1.1", "no cipher", "CBC", "fallback"])
def test_what_is_old_or_weak_is_refused(tls, options, alert):
    code, output = s_client(tls, *options)
    assert code != 0 and f"alert {alert}" in output, output[-1000:]


@pytest.mark.parametrize("version, shown", [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_newer_versions_are_spoken_without_compression(tls, version, shown):
    code, output = s_client(tls, version)
    assert code == 0 and f"New, {shown}" in output and "Compression: NONE" in output, output[-2000:]


# how tests/wires/misbehave.py sees it: alerts by RFC 8446, 6
@pytest.mark.parametrize("version, case, end", [
    ("1.3", "a_few_empty_records", "answered"), ("1.3", "empty_records", "alert 10"), ("1.3", "a_key_update", "answered"),
    ("1.3", "unknown_record", "alert 10"), ("1.3", "plain_text", "alert 20"), ("1.3", "changed_bytes", "alert 20"),
    ("1.2", "empty_records", "alert 10"), ("1.2", "changed_bytes", "alert 20"),
])
def test_a_breach_behind_the_handshake_ends_the_connection(tls, version, case, end):
    python = TOOLS / "wires/bin/python"
    if not python.exists():
        assert os.environ.get("CI") != "true", "no tlslite-ng: tests/wires/fetch gets it"
        pytest.skip("no tlslite-ng: tests/wires/fetch gets it")
    run = subprocess.run([python, SOURCE / "tests/wires/misbehave.py", str(tls.tls_port), case, version], capture_output=True,
                         text=True, timeout=SLACK_S)
    assert run.stdout.strip() in (end, "closed" if end.startswith("alert") else end), run.stdout + run.stderr
