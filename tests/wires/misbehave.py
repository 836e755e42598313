"""A TLS client that breaks the rules behind its handshake: misbehave.py PORT CASE prints how the server ends it.

    "alert N"   with a fatal alert of that number
    "closed"    without one
    "answered"  it does not: a publish is answered behind all that
"""

import socket
import sys

from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import AlertDescription, AlertLevel, ContentType
from tlslite.errors import TLSAbruptCloseError, TLSAlert
from tlslite.messages import Alert, ApplicationData, Message

MANY = 5000
BODY = b'{"channel":"misbehave","message":1}'
PUBLISH = (b"POST /messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" %
           (len(BODY), BODY))


def drain(steps):
    for _ in steps:
        pass


def send(tls, message):
    drain(tls._sendMsg(message, randomizeFirstBlock=False))


def a_few_empty_records(tls):
    for _ in range(5):
        send(tls, ApplicationData().create(bytearray()))


def empty_records(tls):
    for _ in range(MANY):
        send(tls, ApplicationData().create(bytearray()))


def a_key_update(tls):
    drain(tls.send_keyupdate_request(0))


def key_updates(tls):
    """Each asks for one in return, and nothing of them is read."""
    tls.sock.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(200):
        drain(tls.send_keyupdate_request(1))


def warnings(tls):
    for _ in range(MANY):
        send(tls, Alert().create(AlertDescription.no_renegotiation, AlertLevel.warning))


def unknown_record(tls):
    send(tls, Message(99, bytearray(b"x")))


def handshake_again(tls):
    send(tls, Message(ContentType.handshake, bytearray(b"\x01\0\0\0")))


def plain_text(tls):
    tls.sock.socket.sendall(b"\x17\x03\x03\x00\x05hello")


def plain_http(tls):
    tls.sock.socket.sendall(PUBLISH)


def large_record(tls):
    tls.sock.socket.sendall(b"\x17\x03\x03\x48\x01" + bytes(0x4801))


def changed_bytes(tls):
    real = tls.sock.socket.sendall
    data = bytearray()
    tls.sock.flush()

    class Tap:
        def __getattr__(self, name):
            return getattr(plain, name)

        def send(self, some):
            data.extend(some)
            return len(some)

        def sendall(self, some):
            data.extend(some)

    plain, tls.sock.socket = tls.sock.socket, Tap()
    send(tls, ApplicationData().create(bytearray(PUBLISH)))
    tls.sock.flush()
    tls.sock.socket = plain
    data[-1] ^= 1
    real(bytes(data))


CASES = {case.__name__: case for case in (
    a_few_empty_records, empty_records, a_key_update, key_updates, warnings, unknown_record, handshake_again, plain_text,
    plain_http, large_record, changed_bytes)}


def run(port, name, version):
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 4) if version == "1.3" else (3, 3)
    tls = TLSConnection(socket.create_connection(("127.0.0.1", port), 60))
    tls.handshakeClientCert(settings=settings, serverName="localhost")
    try:
        CASES[name](tls)
        tls.sendall(PUBLISH)
    except OSError:
        pass
    try:
        answer = tls.read(min=12, max=100)
        return "answered" if answer.startswith(b"HTTP/1.1 202") else f"answered {bytes(answer)!r}" if answer else "closed"
    except TLSAlert as alert:
        return f"alert {alert.description}"
    except (TLSAbruptCloseError, OSError):
        return "closed"


print(run(int(sys.argv[1]), *sys.argv[2:]))
