#!/usr/bin/env python3
"""
Ports for servers that a test is about to start: free_port() and free_ports(count), each another one's never.

usage: ports.py COUNT [--hold]   prints so many; --hold: they stay ours until the standard input ends

A port that the kernel picks (bind to 0) is not ours any more once it is closed: two tests that run side by side get
the same one, or a client's connection takes it before the server listens; of a thousand servers a run, one. So these
are below those that the kernel picks, and claimed for as long as this process lives by a lock on the byte of that
number of a file that all tests share (fcntl(2), record locks), which ends with the process however it ends.
"""

import contextlib
import fcntl
import functools
import os
import random
import socket
import sys
import tempfile
import threading
from pathlib import Path

LOWEST = 10000
_ours = set()  # a process's own locks are never in its way
_lock = threading.Lock()


def _end():
    """The lowest that the kernel takes for connections: those of thousands of clients, on addresses of their own, are in
    the way of a server that listens on all addresses, for a minute after their end, too."""
    return max(LOWEST + 10000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))


@functools.cache
def _claims():
    return os.open(Path(tempfile.gettempdir(), f"push-test-ports-{os.getuid()}"),
                   os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def claim(port):
    """Whether it is free, and nobody's but ours from now on."""
    with _lock, contextlib.suppress(OSError):
        if port in _ours:
            return False
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        _ours.add(port)  # whoever listens there without asking is not asked again
        with socket.socket() as s:
            s.bind(("", port))
        return True
    return False


def free_port(distance=0):
    """With a distance: the port that far above is free and ours, too."""
    for _ in range(10000):
        port = random.randrange(LOWEST, _end() - distance)
        if claim(port) and (not distance or claim(port + distance)):
            return port
    raise AssertionError(f"no port is free from {LOWEST} to {_end()}")


def free_ports(count):
    return [free_port() for _ in range(count)]


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])), flush=True)
    if "--hold" in sys.argv[2:]:
        sys.stdin.read()
