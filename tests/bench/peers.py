"""Gets the peers that Push is compared with, or tested beside, and knows what it got.

Most are Debian's packages, downloaded by apt-get, with those libraries that the machine does not have.  Bun is a package
of npm, and Centrifugo is built by the Go toolchain.  All are unpacked below build/bench/peers: nothing is installed, no
service is started, and removing the folder removes them.
"""

import fcntl
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = os.path.join(ROOT, "build", "bench", "peers")
TREE = os.path.join(HOME, "root")

# The Debian packages of each peer, and the files by which it is known to be there.
PACKAGES = {"Nchan": ("nginx", "libnginx-mod-nchan"), "Redis": ("redis-server", "redis-tools"),
            "Valkey": ("valkey-server", "valkey-tools"), "HAProxy": ("haproxy",), "nginx": ("nginx",), "Caddy": ("caddy",)}
FILES = {"Nchan": ("usr/sbin/nginx", "usr/lib/nginx/modules/ngx_nchan_module.so"), "Redis": ("usr/bin/redis-server",),
         "Valkey": ("usr/bin/valkey-server",), "HAProxy": ("usr/sbin/haproxy",),
         "nginx": ("usr/sbin/nginx",), "Caddy": ("usr/bin/caddy",), "Bun": ("usr/local/bin/bun",),
         "Centrifugo": ("usr/local/bin/centrifugo",)}
CENTRIFUGO = "github.com/centrifugal/centrifugo/v6"
CLIENT_S = 1800  # npm fetches 40 MB; Centrifugo takes minutes to compile, many on a busy machine


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
    """As the programs report it themselves."""
    if peer in FETCHES:
        return noted_version(peer.lower())
    program = path(FILES[peer][0])
    done = subprocess.run([program, "-v"], env=environment(), capture_output=True, text=True, check=False)
    found = re.search(r"(?:nginx/|v=|HAProxy version )([\d.]+)", done.stderr + done.stdout)
    if peer != "Nchan":
        return found[1] if found else ""
    module = re.sub(r"^\d+:|[+-].*", "", noted_version("libnginx-mod-nchan"))
    return "%s (nginx %s)" % (module, found[1]) if found else module


def noted_version(package):
    """The version that was noted when it was unpacked, or ''."""
    try:
        with open(os.path.join(HOME, package + ".version"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def note_version(package, text):
    with open(os.path.join(HOME, package + ".version"), "w", encoding="utf-8") as file:
        file.write(text + "\n")


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
    note_version(fields["Package"], fields["Version"])


def fetch_from_debian(peer, folder):
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("it is taken from Debian's packages, and there is no apt-get here")
    packages = PACKAGES[peer] + tuple(name for package in PACKAGES[peer] for name in libraries_of(package))
    download(dict.fromkeys(packages), folder)
    for archive in sorted(glob.glob(os.path.join(folder, "*.deb"))):
        unpack(archive)


def call(command, folder, **environment):
    """A package client's output.  Raises Unavailable with its last line."""
    if not shutil.which(command[0]):
        raise Unavailable("it is fetched with %s, which is not here" % command[0])
    try:
        done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
                              timeout=CLIENT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable("%s took more than %d s" % (" ".join(command), CLIENT_S)) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unavailable("%s: %s" % (" ".join(command), reason))
    return done.stdout


def place(program, name):
    """All at once: a program that is there is whole."""
    os.makedirs(path("usr/local/bin"), exist_ok=True)
    shutil.copy2(program, path("usr/local/bin/.%s" % name))
    os.chmod(path("usr/local/bin/.%s" % name), 0o755)
    os.replace(path("usr/local/bin/.%s" % name), path("usr/local/bin/%s" % name))


def bun_package():
    """The program of this machine; that without "baseline" needs AVX2."""
    if platform.machine() == "aarch64":
        return "@oven/bun-linux-aarch64"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return "@oven/bun-linux-x64" + ("" if " avx2" in file.read() else "-baseline")


def fetch_bun(folder):
    archive = call(["npm", "pack", "--silent", bun_package()], folder).split()[-1]
    subprocess.run(["tar", "-xzf", archive, "package/bin/bun", "package/package.json"], cwd=folder, check=True)
    with open(os.path.join(folder, "package/package.json"), encoding="utf-8") as file:
        note_version("bun", json.load(file)["version"])
    place(os.path.join(folder, "package/bin/bun"), "bun")


def fetch_centrifugo(folder):
    """The compiler's caches go with the folder: they are ten times as large as the program."""
    caches = {"GOPATH": os.path.join(folder, "go"), "GOCACHE": os.path.join(folder, "cache"), "GOBIN": folder,
              "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    call(["go", "install", CENTRIFUGO + "@latest"], folder, **caches)
    program = os.path.join(folder, "centrifugo")
    found = re.search(r"^\s*mod\s+\S+\s+v(\S+)", call(["go", "version", "-m", program], folder, **caches), re.M)
    note_version("centrifugo", found[1] if found else "")
    place(program, "centrifugo")


FETCHES = {"Bun": fetch_bun, "Centrifugo": fetch_centrifugo}


def source(peer):
    """Where it comes from, in words."""
    return {"Bun": "npm", "Centrifugo": "the Go module proxy (it is compiled: some minutes)"}.get(peer, "Debian's packages")


def fetch(peer):
    """Raises Unavailable."""
    os.makedirs(TREE, exist_ok=True)
    with open(os.path.join(HOME, "lock"), "w", encoding="utf-8") as lock, tempfile.TemporaryDirectory(dir=HOME) as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time: a program that is being replaced cannot be started
        if is_there(peer):
            return
        if peer in FETCHES:
            FETCHES[peer](folder)
        else:
            fetch_from_debian(peer, folder)
    if not is_there(peer):
        raise Unavailable("its packages are other ones than expected: see " + TREE)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        if not is_there(wanted):
            fetch(wanted)
        print("%s %s" % (wanted, version(wanted)))
