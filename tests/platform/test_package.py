"""The .deb: installed by dpkg, it runs by itself, and it leaves nothing when it is purged."""

import re
import shutil
import subprocess

import pytest

import debian_machine
from debian_machine import SOURCE, Root
from ports import free_port


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return debian_machine.build_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def unpacked(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "-R", package, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def root():
    with Root() as made:
        yield made


def text_of(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", [
    "usr/bin/pushd", "usr/lib/push/bin/lwsws", "usr/lib/push/libpushd_listen.so",
    "usr/lib/push/plugins/libprotocol_push_ws.so", "usr/share/push/mounts/index.html", "etc/push/conf",
    "etc/push/conf.d/10-push", "etc/default/push", "usr/lib/systemd/system/push.service",
    "usr/lib/systemd/system/push@.service", "usr/share/doc/push/copyright", "usr/share/doc/push/README.md",
    "usr/share/doc/push/docs/reference/options.md", "usr/share/doc/push/docs/concepts.svg",
    "usr/share/man/man8/pushd.8.gz", "usr/bin/push", "usr/lib/push/pushload", "usr/share/man/man1/push.1.gz",
    "usr/share/bash-completion/completions/push", "usr/share/zsh/vendor-completions/_push",
    "usr/share/fish/vendor_completions.d/push.fish"])
def test_everything_is_in_its_place(unpacked, path):
    assert (unpacked / path).is_file()


def test_what_is_in_etc_is_the_administrators(unpacked):
    files = {"/" + str(path.relative_to(unpacked)) for path in (unpacked / "etc").rglob("*") if path.is_file()}
    assert set((unpacked / "DEBIAN/conffiles").read_text().split()) == files


def test_a_password_of_redis_is_not_for_everybody(unpacked):
    assert (unpacked / "etc/default/push").stat().st_mode & 0o777 == 0o640


def test_the_environment_file_names_every_option_with_its_default(unpacked):
    known = re.findall(r"^\| `(push\.[a-z0-9.]+)` \| (?:`([^`]*)`)? ?\| (.*?) \|$",
                       (SOURCE / "docs/reference/options.md").read_text(), re.M)  # which its own test compares with pushd
    text = (unpacked / "etc/default/push").read_text()
    assert len(known) > 30
    for name, default, meaning in known:
        assert f"\n# {meaning}\n#{name.upper().replace('.', '_')}={default}\n" in text
    assert not re.findall("^[^#\n]", text, re.M), "something is set"


def test_its_libraries_come_from_debian_or_with_it(unpacked):
    """Nothing is looked for in the folder that it was built in, and what it brings along is not asked of Debian."""
    depends = re.search("^Depends: (.*)$", (unpacked / "DEBIAN/control").read_text(), re.M)[1]
    for name in ("libc6", "libjson-c5", "libssl3", "libuv1"):
        assert re.search(rf"\b{name}(t64)? \(>= ", depends), depends
    assert "websockets" not in depends
    for path in [unpacked / "usr/bin/pushd", unpacked / "usr/bin/push", *(unpacked / "usr/lib/push").rglob("*")]:
        if not path.is_file():
            continue
        assert str(SOURCE) not in text_of("readelf", "-d", path)
        libraries = text_of("ldd", path)
        assert "not found" not in libraries, libraries
        for library in re.findall(r"libwebsockets\S* => (\S+)", libraries):
            assert library.startswith(str(unpacked)), libraries


def test_lintian_finds_nothing_to_complain_of(package):
    if not shutil.which("lintian"):
        pytest.skip("no lintian: apt install lintian")
    done = subprocess.run(["lintian", "--fail-on", "error,warning", package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


SERVE = """
env pushd >/tmp/pushd.log 2>&1 &
pushd=$!
for i in $(seq 100); do env pushd --health >/dev/null 2>&1 && break; kill -0 $pushd || { cat /tmp/pushd.log; exit 1; }; sleep 0.1; done
curl -sSN "http://127.0.0.1:$SERVER_PORT/sse/messages?channels=deb" >/tmp/events &
for i in $(seq 100); do grep -q heartbeat /tmp/events && break; sleep 0.1; done
curl -sS -H 'Content-Type: application/json' "http://127.0.0.1:$SERVER_PORT/messages" -d '{"channel":"deb","message":"hello"}'
for i in $(seq 100); do grep hello /tmp/events && break; sleep 0.1; done
push pub deb greetings --url "127.0.0.1:$SERVER_PORT"
for i in $(seq 100); do grep greetings /tmp/events && break; sleep 0.1; done
curl -sS "http://127.0.0.1:$SERVER_PORT/" | grep -o '<title>.*</title>'
cd /tmp
push bench --clients 20 --seconds 1 --url "127.0.0.1:$SERVER_PORT" && grep -o 'What this machine holds</text>' push-bench.svg
kill -TERM $pushd
wait $pushd
echo "ended with $?"
cat /tmp/pushd.log
"""


def test_installed_by_dpkg_it_serves_until_it_is_removed(root, package):
    """One after the other: what is installed is what is removed."""
    shutil.copy(package, root.path / "tmp/push.deb")
    said = root.run("dpkg", "-i", "/tmp/push.deb").stdout
    assert "systemctl enable --now push" in said
    assert "multi-user.target.wants/push.service" not in root.run("find", "/etc/systemd/system").stdout, "it was enabled"
    out = root.run("env", f"SERVER_PORT={free_port()}", f"MANAGEMENT_SERVER_PORT={free_port()}", "PUSH_DRAIN_DURATION=100ms",
                   "bash", "-c", SERVE).stdout
    assert '{"subscribers":1}' in out and 'data:{"channel":"deb","message":"hello"}' in out, out
    assert 'data:{"channel":"deb","message":"greetings"}' in out, out
    assert "<title>" in out and "ended with 0" in out, out
    assert "Picture: /tmp/push-bench.svg\nWhat this machine holds" in out, out

    root.run("sh", "-c", "echo '# mine' >>/etc/push/conf.d/10-push")
    assert "goes on" in root.run("dpkg", "-i", "/tmp/push.deb").stdout, "an upgrade says what to do"
    assert "# mine" in (root.path / "etc/push/conf.d/10-push").read_text()

    root.run("dpkg", "--remove", "push")
    assert not (root.path / "usr/bin/pushd").exists() and not (root.path / "usr/lib/push").exists()
    assert (root.path / "etc/push/conf.d/10-push").exists()
    root.run("dpkg", "--purge", "push")
    for left in ("etc/push", "etc/default/push", "usr/share/push", "usr/share/doc/push"):
        assert not (root.path / left).exists(), left
