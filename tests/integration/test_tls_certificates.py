"""Which certificate a port shows, how long its sessions are remembered, and what pushd says of files that cannot be used."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import time

import pytest
from cryptography import x509

import server as harness
from certificates import Authority
from http1 import Connection, post, publish
from ports import free_port
from server import BUILD, PUSHD, SOURCE, Server
from sseclient import EventStream
from wsclient import WebSocket

WAIT_S = 60


def vhost(name, port, certificate, **more):
    return {
        "name": name, "port": str(port), "host-ssl-cert": str(certificate), "host-ssl-key": str(certificate),
        "alpn": "http/1.1", **more,
        "mounts": [{"mountpoint": "/messages", "origin": "callback://push-http"},
                   {"mountpoint": "/sse/messages", "origin": "callback://push-sse"},
                   {"mountpoint": "/ws/messages", "origin": "callback://push-ws"}],
        "ws-protocols": [{"push-broker": {"push-broker-vhost": "push"},
                          "push-ws": {"status": "ok", "default": "1"}, "p": {"status": "ok"},
                          "push-sse": {"status": "ok"}, "push-http": {"status": "ok"}}]}


def named(*names):
    return [x509.DNSName(name) for name in names]


class Certificates:
    """Two vhosts on one port, each with a certificate of its own."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        self.one, self.two = folder / "one.pem", folder / "two.pem"
        self.port = free_port()
        self.renew(self.one, "one.test")
        self.renew(self.two, "two.test")

    def renew(self, path, *names):
        os.replace(self.authority.issue(*names, names=named(*names)), path)

    def wrap(self, name, context=None, session=None):
        context = context or self.authority.client()
        return lambda plain: context.wrap_socket(plain, server_hostname=name, session=session)

    def shown_to(self, name):
        context = self.authority.client()
        context.check_hostname = False
        with Connection(self.port, wrap=self.wrap(name, context)) as connection:
            return dict(pair[0] for pair in connection.socket.getpeercert()["subject"])["commonName"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls(certificates):
    vhosts = [vhost("one.test", certificates.port, certificates.one), vhost("two.test", certificates.port, certificates.two)]
    with Server(conf_d={"30-tls": json.dumps({"vhosts": vhosts})}, PUSH_WORKERS=1,
                PUSH_DRAIN_DURATION="500ms", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="500ms") as running:
        yield running


def wait_until(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_each_vhost_of_a_port_shows_its_own_certificate_and_serves(tls, certificates):
    names = ["one.test", "two.test", "TWO.test", "www.two.test", "other.test", None]
    assert [certificates.shown_to(name) for name in names] == [
        "one.test", "two.test", "two.test", "two.test", "one.test", "one.test"]
    for name in ("one.test", "two.test"):
        wrap = certificates.wrap(name)
        with WebSocket(certificates.port, "sni", wrap=wrap) as ws, EventStream(certificates.port, "sni", wrap=wrap) as sse:
            assert publish(certificates.port, "sni", name, wrap=wrap).json == {"subscribers": 2}
            assert ws.message() == ("sni", name) and sse.message() == ("sni", name)


def test_a_request_may_name_another_vhost_of_the_port_than_the_handshake(tls, certificates):
    with Connection(certificates.port, wrap=certificates.wrap("one.test")) as connection:
        request = post('{"channel":"host","message":1}')
        assert b"Host:" in request or b"host:" in request
        connection.send(request.replace(b"localhost", b"two.test"))
        assert connection.read_answer().json == {"subscribers": 0}


def test_a_certificate_that_is_replaced_is_served_and_no_client_notices(tls, certificates):
    assert certificates.shown_to("one.test") == "one.test"
    with EventStream(certificates.port, "renewed", wrap=certificates.wrap("one.test")) as sse:
        certificates.renew(certificates.one, "one.test", "renewed.test")
        tls.process.wait_for("vhost one.test: its certificate was replaced, the new one is valid until ")
        context = certificates.authority.client()
        with Connection(certificates.port, wrap=certificates.wrap("one.test", context)) as connection:
            assert ("DNS", "renewed.test") in connection.socket.getpeercert()["subjectAltName"]
        assert publish(tls.port, "renewed", 1).json == {"subscribers": 1}
        assert sse.message() == ("renewed", 1)


def test_a_certificate_that_cannot_be_used_leaves_the_one_before(tls, certificates):
    certificates.two.rename(certificates.two.with_suffix(".old"))
    certificates.two.write_text(certificates.two.with_suffix(".old").read_text()[:300])
    tls.process.wait_for(r"vhost two.test: host-ssl-cert=\S+: .*; the certificate before is served")
    assert certificates.shown_to("two.test") == "two.test"
    tls.wait_metric("push_tls_certificates_stale", 1)
    certificates.two.with_suffix(".old").rename(certificates.two)
    tls.process.wait_for("vhost two.test: its certificate was replaced")
    tls.wait_metric("push_tls_certificates_stale", 0)
    assert 0 < tls.metric("push_tls_certificate_expiry_timestamp_seconds") - time.time() <= 86400


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_session_is_resumed_by_the_workers_after_a_reload(tls, certificates, version):
    context = certificates.authority.client()
    context.minimum_version = context.maximum_version = version

    def connect(session):
        with Connection(certificates.port, wrap=certificates.wrap("one.test", context, session)) as connection:
            assert connection.send(post('{"channel":"resumed","message":1}')).read_answer().status == 202
            return connection.socket.session, connection.socket.session_reused

    session, is_resumed = connect(None)
    assert not is_resumed
    assert connect(session)[1]
    before = set(tls.pids())
    tls.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(tls.pids()) == 2 and not before & set(tls.pids()), "no other workers")
    assert connect(session)[1]


def test_libwebsockets_lets_no_client_at_push_whose_certificate_another_ca_has_signed(certificates, tmp_path):
    authority, port = certificates.authority, free_port()
    required = {"host-ssl-ca": str(authority.path), "client-cert-required": "1"}
    served = vhost("one.test", port, certificates.one, **required)
    stranger = Authority(tmp_path, "stranger").issue("ann")
    with Server(conf_d={"30-tls": json.dumps({"vhosts": [served]})}, PUSH_DIRECT="off"):
        for certificate, status in ((authority.issue("ann"), 202), (stranger, 503)):
            with Connection(port, wrap=certificates.wrap("one.test", authority.client(certificate))) as connection:
                answer = connection.send(post('{"channel":"strangers","message":1}')).read_answer()
                assert answer.status == status, answer.text
        with Connection(port, wrap=certificates.wrap("one.test", authority.client(stranger))) as connection:
            connection.send("GET /ws/messages?channels=a HTTP/1.1\r\nHost: one.test\r\nUpgrade: websocket\r\nConnection: "
                            "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            assert connection.read_head()[0] == 503


# --- pushd --check ---


@pytest.fixture
def check(tmp_path):
    def run(*vhosts, conf=lambda text: text):
        shutil.copytree(SOURCE / "conf.d", tmp_path / "conf/conf.d", dirs_exist_ok=True)
        (tmp_path / "conf/conf").write_text(conf((SOURCE / "conf").read_text()))
        (tmp_path / "conf/conf.d/30-tls").write_text(json.dumps({"vhosts": vhosts}))
        done = subprocess.run([PUSHD, "--check", "--config", tmp_path / "conf", "--plugins", BUILD / "plugins",
                               "--mounts", SOURCE / "mounts"], capture_output=True, text=True, env=harness.environment({}))
        return done.returncode, done.stdout + done.stderr

    return run


def test_pushd_refuses_what_cannot_be_served_and_names_key_and_value(check, tmp_path):
    authority = Authority(tmp_path)
    one, other = (authority.issue("one.test", names=named("one.test")) for _ in range(2))
    rows = [
        ({"host-ssl-key": str(other)}, f"vhost one.test: host-ssl-key={other}: does not belong to the certificate"),
        ({"host-ssl-cert": str(SOURCE / "conf")}, f"host-ssl-cert={SOURCE}/conf: no start line"),
        ({"ciphers": "NO-SUCH"}, "ciphers=NO-SUCH: no cipher match"),
        ({"tls13-ciphers": "NO-SUCH"}, "tls13-ciphers=NO-SUCH: no cipher match"),
        ({"ecdh-curve": "none"}, "ecdh-curve=none: must be one curve"),
        ({"ecdh-curve": "X25519:prime256v1"}, "ecdh-curve=X25519:prime256v1: must be one curve"),
        ({"client-cert-required": "yes"}, "client-cert-required=yes: needs host-ssl-ca, or no client gets in"),
    ]
    assert check(vhost("one.test", 8443, one))[0] == 0
    assert check({**vhost("one.test", 8443, one), "ecdh-curve": "secp384r1"})[0] == 0
    for more, error in rows:
        code, output = check({**vhost("one.test", 8443, one), **more})
        assert code == 1 and "conf.d/30-tls: " in output and error in output, output
    code, output = check(vhost("one.test", 8443, one), conf=lambda text: text.replace('"init-ssl": "yes",', ""))
    assert code == 1 and 'has no effect without "init-ssl": "yes" in "global"' in output


def test_pushd_warns_of_a_certificate_that_expires_soon_or_has_expired(check, tmp_path):
    authority = Authority(tmp_path)
    for ends_s, word in ((86400 * 30, None), (86400, "expires on "), (-60, "expired on ")):
        path = authority.issue("one.test", names=named("one.test"), ends_s=ends_s)
        code, output = check(vhost("one.test", 8443, path))
        assert code == 0 and "configuration is valid" in output
        assert (f"host-ssl-cert={path}: {word}" in output) if word else "expire" not in output


def test_vhosts_may_share_a_port_if_they_agree_in_who_its_clients_are(check, tmp_path):
    authority = Authority(tmp_path)
    path, other_ca = authority.issue("one.test", names=named("one.test")), Authority(tmp_path, "other").path
    ca, required = {"host-ssl-ca": str(authority.path)}, {"client-cert-required": "yes"}
    rows = [
        ({}, {}, None),
        ({**ca, **required}, {**ca, **required}, None),
        ({**ca, **required}, ca, "client-cert-required="),
        (ca, {"host-ssl-ca": str(other_ca)}, "host-ssl-ca="),
        ({}, {"interface": "127.0.0.1"}, "another vhost listens there"),
    ]
    for one, two, error in rows:
        code, output = check(vhost("one.test", 8443, path, **one), vhost("two.test", 8443, path, **two))
        assert (code == 0) if error is None else (code == 1 and error in output), output
    plain = vhost("two.test", 8443, path)
    del plain["host-ssl-cert"], plain["host-ssl-key"]
    assert "another vhost listens there" in check(vhost("one.test", 8443, path), plain)[1]
