"""A machine to install the package on: this one's own root, in an overlay that is thrown away, without Push's source tree.

Root() is that, for programs in a chroot.  Machine() boots systemd in it (systemd-nspawn), with this machine's network, so
that a unit runs as it will.  Both need root and overlayfs; what is missing skips the test.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from server import BUILD, SOURCE

BOOT_S = 60


def build_package(folder):
    """cpack of the build that is tested; the package's path."""
    for program, package in (("cpack", "cmake"), ("dpkg-shlibdeps", "dpkg-dev"), ("file", "file")):
        if not shutil.which(program):
            pytest.skip(f"no {program}: apt install {package}")
    made = subprocess.run(["cpack", "-B", folder, "--config", BUILD / "CPackConfig.cmake"], cwd=folder, capture_output=True,
                          text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return next(Path(folder).glob("*.deb"))


class Root:
    def __init__(self):
        if os.geteuid() != 0:
            pytest.skip("needs root, to mount an overlay")
        self.base = Path(tempfile.mkdtemp(prefix="push-root-"))
        self.path = self.base / "root"
        # of its own, since what is above an overlay may not lie inside of what is below
        mounted = subprocess.run(["mount", "-t", "tmpfs", "push-test", self.base], capture_output=True, text=True, check=False)
        for name in ("root", "upper", "work"):
            (self.base / name).mkdir()
        if mounted.returncode == 0:
            mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                                      f"lowerdir=/,upperdir={self.base}/upper,workdir={self.base}/work", self.path],
                                     capture_output=True, text=True, check=False)
        if mounted.returncode:
            self.close()
            pytest.skip("no overlay can be mounted here: " + mounted.stderr.strip())
        # the package may take nothing from where it was built
        subprocess.run(["mount", "-t", "tmpfs", "push-test", f"{self.path}{SOURCE}"], check=True)

    def run(self, *command, check=True, **more):
        """In the chroot, in a PID namespace of its own, so that what it leaves behind ends with it."""
        return self._run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "chroot", self.path, "sh", "-ec",
                          'mount -t proc proc /proc; [ -c /dev/null ] || mount -t devtmpfs dev /dev; exec "$@"', "-",
                          *command], check, more)

    @staticmethod
    def _run(command, check, more):
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True, check=False, timeout=120, **more)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done

    def close(self):
        for path in (f"{self.path}{SOURCE}", self.path, self.base):
            subprocess.run(["umount", "-l", path], capture_output=True, check=False)
        os.rmdir(self.base)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Machine(Root):
    """run() is inside."""

    def __init__(self):
        if not shutil.which("systemd-nspawn"):
            pytest.skip("no systemd-nspawn: apt install systemd-container")
        super().__init__()
        # a container image's way to say that packages may start and stop nothing
        (self.path / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        self.log = (self.base / "boot.log").open("wb")
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--register=no", "--keep-unit", "--console=read-only", "--directory", self.path,
             "--boot", f"--machine=push-test-{os.getpid()}", "--", "systemd.unit=basic.target"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        self.leader = None
        end = time.monotonic() + BOOT_S
        while not self._is_up():
            if self.nspawn.poll() is not None or time.monotonic() > end:
                text = (self.base / "boot.log").read_text(errors="replace")
                self.close()
                pytest.skip("systemd does not boot in a container here: " + text[-600:])
            time.sleep(0.1)

    def _is_up(self):
        if not self.leader:
            self.leader = subprocess.run(["pgrep", "-P", str(self.nspawn.pid)], capture_output=True, text=True,
                                         check=False).stdout.split()[:1]
        return self.leader and "active" == self.run("systemctl", "is-active", "basic.target", check=False).stdout.strip()

    def run(self, *command, check=True, **more):
        return self._run(["nsenter", "--target", *self.leader, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root",
                          "--wd", "--", *command], check, more)

    def close(self):
        if getattr(self, "nspawn", None):
            if self.leader and self.nspawn.poll() is None:
                os.kill(int(self.leader[0]), 9)  # a PID namespace ends with its first process
            try:
                self.nspawn.wait(10)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
            self.log.close()
        super().close()
