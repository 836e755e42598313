"""The scripts that stand between a clone and a running Push: what they say, and how they go on after an interruption."""

import hashlib
import os
import shutil
import subprocess

import pytest

from server import DEPS, SOURCE, environment

HAS_MOUNTS = not subprocess.run(["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"], capture_output=True).returncode
READ_ONLY = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; exec "$1/server/run"'


def program(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def run(*command, **env):
    """(exit code, what it printed and complained about)"""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, env=environment(env), timeout=200, check=False)
    return done.returncode, done.stdout


@pytest.fixture
def clone(tmp_path):
    """What the scripts need of a clone, without what they build."""
    shutil.copytree(SOURCE / "server", tmp_path / "clone/server")
    return tmp_path / "clone"


@pytest.mark.skipif(not HAS_MOUNTS, reason="mounting needs root")
@pytest.mark.parametrize("script", ["run", "deps", "package"])
def test_where_nothing_can_be_written_it_ends_at_once_and_starts_nothing_old(clone, script):
    program(clone / "build/release/server/pushd", "echo yesterday")
    text = READ_ONLY.replace("server/run", f"server/{script}")
    code, out = run("unshare", "--mount", "--propagation", "private", "sh", "-euc", text, "sh", clone)
    assert code == 1 and f"error: cannot write to {clone}/build" in out and "yesterday" not in out, out


def library(command):
    return run("bash", "-euc", f'. "{SOURCE}/server/lib.sh"; {command}')


def test_a_build_shows_how_far_it_is_and_keeps_its_output(tmp_path):
    log = tmp_path / "log"
    code, out = library(f'steps() {{ for i in 1 2 3 4 5 6 7 8; do echo "[$i/8] CC x.c"; done; echo end; }}; '
                        f'logged "building it" {log} steps')
    assert (code, out.splitlines()) == (0, [f"==> building it: step {n} of 8" for n in (2, 4, 6, 8)])
    assert log.read_text() == "".join(f"[{n}/8] CC x.c\n" for n in range(1, 9)) + "end\n"


def test_where_nothing_is_built_nothing_is_shown(tmp_path):
    steps = 'steps() { echo "[0/2] Re-checking globbed directories..."; echo "ninja: no work to do."; }'
    (tmp_path / "script").write_text(f". {SOURCE}/server/lib.sh; {steps}; logged it {tmp_path}/log steps")
    assert run("script", "-qec", f"bash -eu {tmp_path}/script", "/dev/null") == (0, "")


def test_a_build_that_fails_is_not_taken_for_one_that_ends(tmp_path):
    code, out = library(f'steps() {{ echo one; false; echo two; }}; logged it {tmp_path}/log steps; echo "failed: $failed"')
    assert (code, out) == (0, "failed: 1\n") and (tmp_path / "log").read_text() == "one\n"
    assert library(f"logged it {tmp_path}/no/log true; echo failed: $failed")[1].endswith("failed: 1\n")


def test_a_terminal_shows_one_line_that_moves(tmp_path):
    script = f'. {SOURCE}/server/lib.sh; steps() {{ echo "-- Looking for x"; echo "[1/9] a"; echo "[9/9] b"; }}; logged it {tmp_path}/log steps'
    (tmp_path / "script").write_text(script)
    code, out = run("script", "-qec", f"bash -eu {tmp_path}/script", "/dev/null")
    assert code == 0, out
    assert out.replace("\x1b[K", "").split("\n") == [  # each carriage return read as a line's end
        "", "==> it: configuring, check 1", "==> it: step 1 of 9", "==> it: step 9 of 9", ""]


def recipe(clone):
    files = [clone / "server/deps", *sorted((clone / "server/deps.d").glob("*/*.patch"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


STEPS = ["apt", "fetch-libwebsockets", "build-libwebsockets", "fetch-hiredis", "build-hiredis", "take-hiredis",
         "fetch-llhttp", "take-llhttp"]


def interrupted(clone, mark):
    """All steps have ended, and what they made has not been moved into place."""
    prefix = clone / "build/deps"
    work = prefix / ".work"
    for folder in ("bin", "doc", "include", "lib"):
        (work / f"root{prefix}" / folder).mkdir(parents=True)
    program(work / f"root{prefix}/bin/lwsws", "echo lwsws")
    (work / "done").mkdir()
    for name in STEPS:
        (work / "done" / name).touch()
    (work / "recipe").write_text(mark)
    return prefix


def test_an_interrupted_build_of_the_libraries_goes_on_where_it_was(clone):
    prefix = interrupted(clone, f"{recipe(clone)} {clone}/build/deps\n")
    code, out = run(clone / "server/deps")
    assert code == 0 and "continuing an interrupted build" in out, out
    assert not any(word in out for word in ("reading", "fetching", "building")), out
    assert (prefix / "bin/lwsws").exists() and not (prefix / ".work").exists()
    assert run(clone / "server/deps") == (0, "")


def test_what_was_left_by_another_recipe_is_not_gone_on_with(clone):
    prefix = interrupted(clone, f"another {clone}/build/deps\n")
    shims = clone.parent / "shims"
    program(shims / "apt-get", "echo no network here >&2", "exit 1")
    code, out = run(clone / "server/deps", PATH=f"{shims}:{os.environ['PATH']}")
    assert code == 1 and "reading the list of Debian's packages: failed" in out and "no network here" in out, out
    assert not (prefix / "bin").exists()


def test_cmake_without_the_libraries_says_what_to_run(tmp_path):
    code, out = run("cmake", "-S", SOURCE, "-B", tmp_path / "build", f"-DPUSH_DEPS={tmp_path}/none")
    assert code == 1 and f"no lwsws in {tmp_path}/none: run ./server/deps first" in " ".join(out.split()), out


def test_what_is_built_and_installed_without_the_tests_has_the_load_tool_of_push_bench(tmp_path):
    code, out = run("cmake", "-G", "Ninja", "-S", SOURCE, "-B", tmp_path, "-DPUSH_TESTS=OFF", f"-DPUSH_DEPS={DEPS}")
    assert code == 0, out
    assert "Linking C executable tests/bench/pushload" in run("ninja", "-C", tmp_path, "-n", "push")[1]
    assert '/lib/push" TYPE EXECUTABLE FILES "' in (tmp_path / "tests/bench/src/cmake_install.cmake").read_text()


def test_the_package_is_made_in_one_command_that_ends_with_what_to_do_next(clone):
    """With stand-ins for what builds; platform.package tests a real one."""
    shims = clone.parent / "shims"
    program(clone / "server/deps", "echo deps")
    program(shims / "cmake", f'[ "$1" = --build ] && echo "[1/1] CC x.c" || mkdir -p "{clone}/build/package"')
    program(shims / "cpack", 'echo deb >push_9_amd64.deb')
    code, out = run(clone / "server/package", clone.parent / "out", PATH=f"{shims}:{os.environ['PATH']}")
    deb = clone.parent / "out/push_9_amd64.deb"
    assert code == 0 and deb.read_text() == "deb\n", out
    for words in ("==> building Push", "==> packing", f"sudo apt install {deb}", "systemctl enable --now push"):
        assert words in out, out


def test_a_package_that_cannot_be_made_is_said_with_the_reason(clone):
    shims = clone.parent / "shims"
    program(clone / "server/deps", "exit 0")
    program(shims / "cmake", "echo the compiler is broken", "exit 1")
    code, out = run(clone / "server/package", PATH=f"{shims}:{os.environ['PATH']}")
    assert code == 1 and "the compiler is broken" in out and "error: building Push: failed" in out
    assert run(clone / "server/package", "--nonsense")[0] == 2
