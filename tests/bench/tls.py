#!/usr/bin/env python3
"""TLS for servers that are loaded: a certificate, and Push's configuration with a port for it.

usage: tls.py FOLDER PORT   makes FOLDER/config, Push's own configuration with the same mounts on PORT over TLS

All servers get a certificate of the same kind, ECDSA with P-256, as most of the web's, and TLS 1.2 and 1.3.
"""

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# How pushload is told, by the name that its reports have for it.
TRANSPORTS = {"ws": ("ws",), "sse": ("sse",), "tls-ws": ("ws", "--tls"), "tls-sse": ("sse", "--tls"), "h2-sse": ("h2", "--tls"),
              "h2c-sse": ("h2",), "redis": ("redis",)}
VHOST = """{ "vhosts": [{
  "name": "tls", "port": "%d", "host-ssl-cert": "%s", "host-ssl-key": "%s", "alpn": "h2,http/1.1",
  "mounts": [
    { "mountpoint": "/messages", "origin": "callback://push-http" },
    { "mountpoint": "/sse/messages", "origin": "callback://push-sse" },
    { "mountpoint": "/ws/messages", "origin": "callback://push-ws" }
  ],
  "ws-protocols": [{
    "push-broker": { "push-broker-vhost": "push" },
    "push-ws": { "status": "ok", "default": "1" }, "p": { "status": "ok" }, "push-sse": { "status": "ok" },
    "push-http": { "status": "ok" }
  }]
}] }
"""


def is_secure(transport):
    return "--tls" in TRANSPORTS[transport]


def make_certificate(folder):
    """A new self-signed certificate for localhost: its path and that of its key."""
    certificate, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                    "-out", certificate], check=True, capture_output=True)
    return certificate, key


def push_config(folder, port, root=ROOT):
    """The folder for pushd --config: that of this source, or of another one."""
    config = os.path.join(folder, "config")
    shutil.copytree(os.path.join(root, "conf.d"), os.path.join(config, "conf.d"))
    shutil.copy(os.path.join(root, "conf"), config)
    with open(os.path.join(config, "conf.d", "30-tls"), "w", encoding="utf-8") as file:
        file.write(VHOST % (port, *make_certificate(folder)))
    return config


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    push_config(sys.argv[1], int(sys.argv[2]))
