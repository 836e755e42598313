#!/usr/bin/env python3
"""Prints as many free TCP ports as asked for: free_ports.py COUNT."""

import socket
import sys

# All are held until all are known, so that they differ, and none when the reader learns of them.
HELD = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
PORTS = [held.getsockname()[1] for held in HELD]
for held in HELD:
    held.close()
print(*PORTS)
