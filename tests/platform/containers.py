"""What a container needs: an engine, where there is one, and where there is none, the image's own root folder, run as an
engine would: in a process namespace of its own, read-only, as user 10001, without capabilities."""

import functools
import json
import os
import shutil
import subprocess

import pytest

import http1
import redis_servers
from ports import free_port
from server import BUILD, DEPS, SOURCE, TOOLS, Process

ENGINE = SOURCE / "tests/platform/docker"
USER = 10001
START_S = 30


def run(*command, check=True, **more):
    """What it printed; an assertion with all of it where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **more)
    assert not check or done.returncode == 0, "%s: %d\n%s%s" % (command, done.returncode, done.stdout, done.stderr)
    return done.stdout


def wait_until(promise, what, seconds=START_S):
    redis_servers.wait_until(promise, what, seconds)


def private_environment():
    """Of the engine that tests/platform/docker runs."""
    words = run(ENGINE, "env").split()[1:]
    return {**os.environ, **dict(word.split("=", 1) for word in words)}


def answers(environment):
    return subprocess.run(["docker", "version"], env=environment, capture_output=True, check=False).returncode == 0


@functools.lru_cache(maxsize=1)
def find_engine():
    """(environment, is it the tests' own), or None."""
    if shutil.which("docker") and answers(os.environ):
        return dict(os.environ), os.environ.get("DOCKER_HOST") == private_environment()["DOCKER_HOST"]
    if os.environ.get("PLATFORM") == "all":
        subprocess.run([str(ENGINE), "start"], check=True)
    if shutil.which("docker") and answers(private_environment()):
        return private_environment(), True
    return None


class Docker:
    """An engine: docker("ps", "-q") is what that prints."""

    def __init__(self, environment, private):
        self.environment, self.private = environment, private
        # its networks reach nothing outside: it may not change the machine's packet filter
        self.build_options = ["--network", "host"] if private else []

    def __call__(self, *command, check=True, **more):
        return run("docker", *command, check=check, env={**self.environment, **more})

    def output_of(self, container):
        done = subprocess.run(["docker", "logs", container], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.stdout

    def build(self, tag, folder=SOURCE, *options):
        """What the build said."""
        done = subprocess.run(["docker", "build", "--progress", "plain", *self.build_options, "--tag", tag, *options,
                               str(folder)], env={**self.environment, "DOCKER_BUILDKIT": "1"}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout


def need_engine():
    found = find_engine()
    if not found:
        pytest.skip("no Docker engine answers: PLATFORM=all, or tests/platform/docker start, runs one of the tests' own")
    return Docker(*found)


def has_compose():
    """docker compose, which needs no engine to read files."""
    for environment in (os.environ, private_environment()):
        if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], env=environment,
                                                         capture_output=True, check=False).returncode:
            return environment
    return None


def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root, for chroot and namespaces")


ENTER = """
set -eu
root=$1; shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 none "$root/dev"
mkdir -m 1777 "$root/dev/shm"
for device in null urandom; do : >"$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
for pair in $PUSH_TEST_MOUNTS; do mount --bind -o ro "${pair%%=*}" "$root/${pair#*=}"; done
unset PUSH_TEST_MOUNTS
exec setpriv --no-new-privs chroot --userspec=%d:%d --groups= "$root" "$@"
""" % (USER, USER)


class Contained:
    """
    with Contained(root, mounts={folder: "/etc/push/conf.d"}, PUSH_DRAIN_DURATION="1s") as push: ...

    pushd as PID 1 in the image's root folder.  Only /dev/shm is writable.
    """

    def __init__(self, root, mounts=None, arguments=(), wait=True, **env):
        self.root, self.port, self.management = root, free_port(), free_port()
        environment = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "SERVER_PORT": self.port,
                       "MANAGEMENT_SERVER_PORT": self.management,
                       "PUSH_TEST_MOUNTS": " ".join("%s=%s" % pair for pair in (mounts or {}).items()), **env}
        self.process = Process(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", ENTER, "sh",
                                root, "/usr/bin/pushd", *arguments], environment)
        if wait:
            self.process.wait_for("Push is ready")
            self.pid = int(run("pgrep", "-P", self.process.process.pid).split()[0])

    def inside(self, *command, user=USER):
        """(exit code, output) of a program of the image, as `docker exec` would run it."""
        done = subprocess.run(["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd",
                               "--setuid", str(user), "--setgid", str(user), "--", *command], capture_output=True, text=True,
                              check=False, env={"PATH": "/usr/bin", "SERVER_PORT": str(self.port),
                                                "MANAGEMENT_SERVER_PORT": str(self.management)})
        return done.returncode, done.stdout + done.stderr

    def publish(self, channel, message):
        return http1.publish(self.port, channel, message)

    def terminate(self):
        """SIGTERM to PID 1."""
        run("kill", "-TERM", self.pid)

    def stop(self):
        self.terminate()
        return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()


def compose_config(environment, *files):
    options = [word for name in files for word in ("-f", str(SOURCE / name))]
    return json.loads(run("docker", "compose", "--project-directory", SOURCE, *options, "config", "--format", "json",
                          env=environment))


def own_options():
    """The names of environment variables that Push knows."""
    text = run(BUILD / "server/pushd", "--help")
    return {line.split()[0] for line in text.splitlines() if line.startswith("  PUSH_")} | {"PUSH_WORKERS"}
