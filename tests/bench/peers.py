"""Gets the peers that Push is compared with, or tested beside, from Debian, and knows what it got.

They are downloaded by apt-get and unpacked below build/bench/peers, with those libraries that the machine does not
have: nothing is installed, no service is started, and removing the folder removes them.
"""

import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = os.path.join(ROOT, "build", "bench", "peers")
TREE = os.path.join(HOME, "root")

# What each peer is made of, and the files by which it is known to be there.
PACKAGES = {"Nchan": ("nginx", "libnginx-mod-nchan"), "Redis": ("redis-server", "redis-tools"),
            "Valkey": ("valkey-server", "valkey-tools"), "HAProxy": ("haproxy",), "nginx": ("nginx",), "Caddy": ("caddy",)}
FILES = {"Nchan": ("usr/sbin/nginx", "usr/lib/nginx/modules/ngx_nchan_module.so"), "Redis": ("usr/bin/redis-server",),
         "Valkey": ("usr/bin/valkey-server",), "HAProxy": ("usr/sbin/haproxy",),
         "nginx": ("usr/sbin/nginx",), "Caddy": ("usr/bin/caddy",)}


class Unavailable(Exception):
    """A peer cannot be had or run; says why, and what can be done."""


def is_there(peer):
    return all(os.path.exists(os.path.join(TREE, name)) for name in FILES[peer])


def path(name):
    return os.path.join(TREE, name)


def environment():
    """Where its programs find those libraries that came with it."""
    folders = glob.glob(os.path.join(TREE, "usr/lib/*-linux-gnu*")) + glob.glob(os.path.join(TREE, "lib/*-linux-gnu*"))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


def version(peer):
    """As the programs say it themselves."""
    program = path(FILES[peer][0])
    done = subprocess.run([program, "-v"], env=environment(), capture_output=True, text=True, check=False)
    found = re.search(r"(?:nginx/|v=|HAProxy version )([\d.]+)", done.stderr + done.stdout)
    if peer != "Nchan":
        return found[1] if found else ""
    try:
        with open(os.path.join(HOME, "libnginx-mod-nchan.version"), encoding="utf-8") as file:
            module = re.sub(r"^\d+:|[+-].*", "", file.read().strip())
    except OSError:
        module = ""
    return "%s (nginx %s)" % (module, found[1]) if found else module


def is_installed(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, check=False)
    return done.stdout.endswith(" installed")


def libraries_of(package):
    """The libraries that it depends on, directly or through others, and that the machine lacks."""
    found, waiting = [], [package]
    while waiting:
        done = subprocess.run(["apt-cache", "depends", "--no-recommends", "--no-suggests", waiting.pop()],
                              capture_output=True, text=True, check=False)
        names = re.findall(r"^\s*\|?(?:Pre)?Depends: (lib[^\s<>]+)", done.stdout, re.M)
        missing = [name for name in dict.fromkeys(names) if name not in found and not is_installed(name)]
        found += missing
        waiting += missing
    return found


def download(packages, folder):
    """apt-get download; where it cannot, with an updated list if that is allowed."""
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages]
    for attempt in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        if attempt == 0 and os.geteuid() == 0:
            subprocess.run(["apt-get", "-q", "update"], capture_output=True, check=False)
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise Unavailable("apt-get download %s: %s (apt-get update may help)" % (" ".join(packages), reason))


def unpack(archive):
    subprocess.run(["dpkg", "-x", archive, TREE], check=True)
    done = subprocess.run(["dpkg-deb", "-f", archive, "Package", "Version"], capture_output=True, text=True, check=True)
    fields = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    with open(os.path.join(HOME, fields["Package"] + ".version"), "w", encoding="utf-8") as file:
        file.write(fields["Version"] + "\n")


def fetch(peer):
    """Raises Unavailable."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("it is taken from Debian's packages, and there is no apt-get here")
    os.makedirs(TREE, exist_ok=True)
    with open(os.path.join(HOME, "lock"), "w", encoding="utf-8") as lock, tempfile.TemporaryDirectory(dir=HOME) as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time: a program that is being replaced cannot be started
        if is_there(peer):
            return
        packages = PACKAGES[peer] + tuple(name for package in PACKAGES[peer] for name in libraries_of(package))
        download(dict.fromkeys(packages), folder)
        for archive in sorted(glob.glob(os.path.join(folder, "*.deb"))):
            unpack(archive)
    if not is_there(peer):
        raise Unavailable("its packages are other ones than expected: see " + TREE)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        if not is_there(wanted):
            fetch(wanted)
        print("%s %s" % (wanted, version(wanted)))
