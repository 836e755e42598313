"""
Real Redis servers for a test: one, a master with a replica and sentinels, or a cluster; on free ports, awaited by
what they answer, and gone with the process that started them.

The programs are Debian's, unpacked by tests/run below build/bench/peers (tests/bench/peers.py), or the machine's own.
With TEST_REDIS=Valkey they are Valkey's.
"""

import atexit
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import peers
from ports import free_port

START_S = 20


MAKE = os.environ.get("TEST_REDIS", "Redis")

# A server of a cluster waits for the disk (fsync) whenever its view changes; where others write much that takes longer
# than the time after which it is given up, and a replica takes over that no test has asked for.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def program(name):
    """(path, environment)"""
    name = name.replace("redis", MAKE.lower())
    if peers.is_there(MAKE):
        return peers.path("usr/bin/" + name), peers.environment()
    found = shutil.which(name)
    if not found:
        pytest.skip("no " + name + " here: tests/run unpacks it from Debian's package")
    return found, dict(os.environ)


class RedisError(Exception):
    pass


class Client:
    """Speaks RESP2; command() answers int, bytes, None or a list, and raises RedisError."""

    def __init__(self, port, timeout=10, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout)
        self.file = self.socket.makefile("rb")

    def send(self, *parts):
        parts = [p if isinstance(p, bytes) else str(p).encode() for p in parts]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))

    def read(self):
        line = self.file.readline()
        if not line:
            raise EOFError("Redis has closed the connection")
        mark, rest = line[:1], line[1:-2]
        if mark == b"+":
            return rest
        if mark == b"-":
            raise RedisError(rest.decode())
        if mark == b":":
            return int(rest)
        if mark == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self.read() for _ in range(int(rest))]

    def command(self, *parts):
        self.send(*parts)
        return self.read()

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Subscriber(Client):
    """A plain Redis client that is subscribed to a channel."""

    def __init__(self, port, channel, how="SUBSCRIBE"):
        super().__init__(port)
        assert self.command(how, channel)[2] == 1

    def message(self):
        while True:
            got = self.read()
            if got[0] in (b"message", b"smessage"):
                return got[2]


def wait_until(promise, what, seconds=START_S):
    """Until promise() is true; errors of connections and of Redis count as false."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            if promise():
                return
            last = None
        except (OSError, EOFError, RedisError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what} ({last})")


class RedisServer:
    """
    RedisServer("--requirepass", "secret", plain=False, certificate=(cert, key, ca))

    Of a server with plain=False the port speaks TLS.  inside: a command that runs it elsewhere, at the address `host`.
    """

    def __init__(self, *options, certificate=None, sentinel=None, wait=True, inside=(), host="127.0.0.1"):
        self.inside, self.host = list(inside), host
        self.folder = Path(tempfile.mkdtemp(prefix="push-redis-", dir=MEMORY))
        self.port = free_port()
        self.socket_path = str(self.folder / "redis.sock")
        self.tls_port = free_port() if certificate else None
        self.password = options[options.index("--requirepass") + 1] if "--requirepass" in options else None
        self.options = [str(o) for o in options]
        if certificate:
            cert, key, ca = certificate
            self.options += ["--tls-port", str(self.tls_port), "--tls-cert-file", str(cert), "--tls-key-file", str(key),
                             "--tls-ca-cert-file", str(ca), "--tls-auth-clients", "optional"]
        self.sentinel = sentinel
        self.process = None
        atexit.register(self.close)
        self.start(wait)

    def start(self, wait=True):
        path, env = program("redis-server")
        if self.sentinel is not None:
            file = self.folder / "sentinel.conf"
            if not file.exists():
                file.write_text(self.sentinel)
            command = [path, file, "--port", self.port, "--sentinel"]
        else:
            command = [path, "--port", self.port, "--save", "", "--unixsocket", self.socket_path,
                       "--repl-diskless-sync-delay", "0", *self.options]
        command = [*self.inside, "setpriv", "--pdeathsig", "KILL", "--", *map(str, command), "--dir", str(self.folder),
                   "--bind", *(["127.0.0.1"] if not self.inside else ["0.0.0.0", "--protected-mode", "no"]), "--logfile", str(self.folder / "log")]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        if wait:
            wait_until(self.is_up, "redis-server answers PING, see " + str(self.folder / "log"))

    def is_up(self):
        try:
            return self.command("PING") == b"PONG"
        except RedisError as error:
            return "NOAUTH" in str(error) or "MASTERDOWN" in str(error)

    def client(self):
        client = Client(self.port, host=self.host)
        if self.password:
            client.command("AUTH", self.password)
        return client

    def command(self, *parts):
        with self.client() as client:
            return client.command(*parts)

    def uptime(self):
        """In whole seconds."""
        return int(self.command("INFO", "server").split(b"uptime_in_seconds:")[1].split()[0])

    def subscribe(self, channel, how="SUBSCRIBE"):
        return Subscriber(self.port, channel, how)

    def url(self, login="", database=None):
        return f"redis://{login}{self.host}:{self.port}" + (f"/{database}" if database is not None else "")

    def kill(self):
        """SIGKILL, as a machine that loses its power."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        if self.process.poll() is None:
            self.kill()
        self.start()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Sentinels:
    """A master, its replica, and three sentinels that look after both."""

    NAME = "mymaster"

    def __init__(self, *options, sentinel_lines=""):
        self.redis = [RedisServer(*options), RedisServer(*options)]
        self.redis[1].command("REPLICAOF", "127.0.0.1", self.redis[0].port)
        lines = (f"sentinel monitor {self.NAME} 127.0.0.1 {self.redis[0].port} 2\n"
                 f"sentinel down-after-milliseconds {self.NAME} 500\n"
                 f"sentinel failover-timeout {self.NAME} 3000\n" + sentinel_lines)
        self.sentinels = [RedisServer(sentinel=lines) for _ in range(3)]
        wait_until(lambda: b"master_link_status:up" in self.redis[1].command("INFO", "replication"), "the replica follows")
        for sentinel in self.sentinels:
            wait_until(lambda s=sentinel: self._knows_all(s), "the sentinels know each other")

    def _knows_all(self, sentinel):
        fields = sentinel.command("SENTINEL", "MASTER", self.NAME)
        facts = dict(zip(fields[::2], fields[1::2]))
        return facts[b"num-other-sentinels"] == b"2" and facts[b"num-slaves"] == b"1" and facts[b"flags"] == b"master"

    @property
    def url(self):
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels) + "/" + self.NAME

    def master_port(self, sentinel=None):
        alive = sentinel or next(s for s in self.sentinels if s.process.poll() is None)
        return int(alive.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)[1])

    def master(self):
        port = self.master_port()
        return next(r for r in self.redis if r.port == port)

    def other(self):
        port = self.master_port()
        return next(r for r in self.redis if r.port != port)

    def wait_for_master(self, port):
        wait_until(lambda: all(self.master_port(s) == port for s in self.sentinels), "the sentinels have failed over")

    def close(self):
        for each in self.sentinels + self.redis:
            each.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


SLOTS = 16384


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


def slot_of(name):
    name = name.encode()
    begin = name.find(b"{")
    end = name.find(b"}", begin + 1) if begin >= 0 else -1
    if end > begin + 1:
        name = name[begin + 1:end]
    return crc16(name) % SLOTS


class Cluster:
    """Three masters and a replica of each; nodes[i + 3] follows nodes[i] at first."""

    def __init__(self, *options):
        self.nodes = []
        for _ in range(6):
            self.nodes.append(RedisServer("--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
                                          "--cluster-port", free_port(), "--cluster-replica-validity-factor", "0",
                                          *options))
        self._join()

    def _join(self):
        bounds = [0, SLOTS // 3, SLOTS * 2 // 3, SLOTS]
        for i, node in enumerate(self.nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            if i < 3:
                node.command("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
        for node in self.nodes[1:]:
            node.command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port,
                         self.nodes[0].options[self.nodes[0].options.index("--cluster-port") + 1])
        for node in self.nodes:
            wait_until(lambda n=node: b"cluster_known_nodes:6" in n.command("CLUSTER", "INFO"), "six nodes are known")
        ids = [node.command("CLUSTER", "MYID") for node in self.nodes]
        for i in range(3, 6):
            self.nodes[i].command("CLUSTER", "REPLICATE", ids[i - 3])
        self.wait_ok()
        for i in range(3, 6):
            wait_until(lambda n=self.nodes[i]: b"master_link_status:up" in n.command("INFO", "replication"), "it follows")
        for i in range(3):
            wait_until(lambda n=self.nodes[i]: b"connected_slaves:1" in n.command("INFO", "replication"), "it is followed")

    def alive(self):
        return [node for node in self.nodes if node.process.poll() is None]

    def _is_ok(self, node):
        return b"cluster_state:ok" in node.command("CLUSTER", "INFO")

    def wait_ok(self):
        for node in self.alive():
            wait_until(lambda n=node: self._is_ok(n), "the cluster is well")

    @property
    def url(self):
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])

    def _has_owner(self, slot):
        return any(first <= slot <= last for first, last, *_ in self.alive()[0].command("CLUSTER", "SLOTS"))

    def owner(self, slot):
        """As the first that lives sees it."""
        for first, last, master, *_ in self.alive()[0].command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == master[1])
        raise AssertionError(f"nobody owns slot {slot}")

    def kill_master(self, slot):
        """Kill the owner, and wait until another one has taken over; returns who was killed."""
        owner = self.owner(slot)
        owner.kill()
        wait_until(lambda: self._has_owner(slot) and self.owner(slot) is not owner, "a replica takes over", 30)
        self.wait_ok()
        return owner

    def wait_until_old(self):
        """So that each was up when whatever is numbered from now on was: one that was not begins a new epoch."""
        for node in self.nodes:
            wait_until(lambda n=node: n.uptime() >= 3, "it has been up before")

    def move_slot(self, slot, to):
        """As `redis-cli --cluster reshard` does it."""
        source = self.owner(slot)
        source_id, to_id = source.command("CLUSTER", "MYID"), to.command("CLUSTER", "MYID")
        to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", to_id)
        while True:
            keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, 100)
            if not keys:
                break
            source.command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for node in (to, source, *self.alive()):
            with contextlib.suppress(RedisError):  # replicas refuse it
                node.command("CLUSTER", "SETSLOT", slot, "NODE", to_id)
        try:
            wait_until(lambda: all(self._sees(node, slot, to.port) for node in self.alive()), "everyone knows of the move")
        except AssertionError as error:
            raise AssertionError(f"{error}: slot {slot} to {to.port}\n{self.views()}") from error

    def views(self):
        """What each knows of all."""
        return "\n".join(f"{node.port}:\n{node.command('CLUSTER', 'NODES').decode()}" for node in self.alive())

    @staticmethod
    def _sees(node, slot, port):
        return any(first <= slot <= last and master[1] == port
                   for first, last, master, *_ in node.command("CLUSTER", "SLOTS"))

    def close(self):
        for node in self.nodes:
            node.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Proxy:
    """
    Stands between Push and Redis and can misbehave.

    cut_after_publish: a channel; the connection breaks when a PUBLISH there was passed on, before its answer.
    make_deaf(): messages of subscriptions are swallowed; everything else passes, and so do they on new connections.
    black_hole: nothing passes in either direction, and nothing is closed.
    hold: bytes; what contains them, and whatever follows on that connection, reaches Redis only after release(), also
    where Push has given the connection up meanwhile: as with a server that stands still, and reads late.
    clock_ahead_s: what the answers to TIME are changed by.
    """

    TIME = re.compile(rb"\*2\r\n\$10\r\n(\d{10})\r\n(?=\$\d\r\n\d{1,6}\r\n)")

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cut_after_publish = None
        self.hold = None
        self.clock_ahead_s = 0
        self.held = threading.Event()
        self.may_pass = threading.Event()
        self.pairs = []
        self.deaf = ()  # of these
        self.swallowed = 0
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def black_hole(self):
        return not self.open.is_set()

    @black_hole.setter
    def black_hole(self, on):
        (self.open.clear if on else self.open.set)()

    def release(self):
        """What is held is carried out, on the connection that it came by."""
        self.hold = None
        self.may_pass.set()

    def make_deaf(self):
        self.deaf = tuple(self.pairs)

    def _set_clock(self, data):
        return self.TIME.sub(lambda found: b"*2\r\n$10\r\n%d\r\n" % (int(found[1]) + self.clock_ahead_s), data)

    def _is_to_be_cut(self, data):
        """Among whatever else Push had to say in that turn."""
        channel = self.cut_after_publish
        return channel and b"\r\nPUBLISH\r\n$%d\r\n%s\r\n" % (len(channel), channel.encode()) in data

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            pair = (client, server)
            self.pairs.append(pair)
            threading.Thread(target=self._pump, args=(pair, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(pair, False), daemon=True).start()

    @staticmethod
    def _sent_again(source, data):
        """What comes through when the network is mended: nothing of who has given up meanwhile."""
        try:
            while more := source.recv(65536, socket.MSG_DONTWAIT):
                data += more
            return b""
        except BlockingIOError:
            return data

    def _pass_late(self, source, target, data):
        self.held.set()
        self.may_pass.wait()
        with contextlib.suppress(OSError):
            while more := source.recv(65536):
                data += more
        target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def _pump(self, pair, to_server):
        source, target = pair if to_server else pair[::-1]
        is_cut = False
        try:
            while True:
                data = source.recv(65536)
                if self.black_hole:
                    self.open.wait()
                    data = self._sent_again(source, data)
                if not data:
                    break
                if to_server and self.hold and self.hold in data:
                    self._pass_late(source, target, data)
                    return
                if not to_server and pair in self.deaf and b"message\r\n" in data:
                    self.swallowed += 1
                    continue
                if not to_server and self.clock_ahead_s:
                    data = self._set_clock(data)
                if to_server and self._is_to_be_cut(data):
                    self.cut_after_publish = None
                    is_cut = True
                    source.shutdown(socket.SHUT_RDWR)  # no answer gets through from here on
                target.sendall(data)
                if is_cut:
                    target.shutdown(socket.SHUT_WR)  # Redis reads what came before the end
                    return
        except OSError:
            pass
        for each in pair:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
