"""The image: what is in it, that it runs as it is to be run, and that it says what it is made of.

Its contents are those of server/image-root, whoever calls it: on every machine they are put together here from Push as
it was just built, and run in a namespace as an engine would.  Where there is an engine, the Dockerfile is built, too.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

from containers import (BUILD, DEPS, SOURCE, TOOLS, USER, Contained, http1, need_engine, need_root, run, wait_until)
from ports import free_port
from redis_servers import RedisServer
from sseclient import HEARTBEAT, RECONNECT, EventStream
from wsclient import WebSocket

SIZE_BYTES_MAX = 25_000_000
EPOCH = "1700000000"
DOCKERFILE = (SOURCE / "Dockerfile").read_text()


def assemble(folder):
    run(SOURCE / "server/image-root", "--build", BUILD, "--deps", DEPS, folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    # user 10001 has to reach it
    folder = tmp_path_factory.mktemp("image")
    for parent in (folder, *folder.parents[:3]):
        if parent.owner() == "root" and parent != Path("/") and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    return assemble(folder / "root")


@pytest.fixture(scope="module")
def contained(root):
    need_root()
    with Contained(root) as push:
        yield push


def files_of(root):
    return [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]


def bill_of(root):
    return json.loads((root / "usr/share/doc/push/sbom.json").read_text())


def is_elf(path):
    return path.read_bytes()[:4] == b"\x7fELF"


# What is in it


def test_it_is_under_25_mb(root):
    assert sum(path.stat().st_size for path in files_of(root)) < SIZE_BYTES_MAX


def test_programs_are_pushd_push_with_its_load_tool_and_lwsws_and_nothing_else(root):
    programs = {str(path.relative_to(root)) for path in files_of(root) if path.stat().st_mode & 0o111 and is_elf(path)}
    others = {name for name in programs if not re.search(r"\.so(\.[0-9.]+)?$", name)}
    assert others == {"usr/bin/pushd", "usr/bin/push", "usr/bin/lwsws", "usr/lib/push/pushload"}
    # nothing but these is executable: no script has anything to run it
    assert all(is_elf(path) for path in files_of(root) if path.stat().st_mode & 0o111)


def test_nobody_gains_rights_and_nobody_can_write(root):
    for path in [root, *root.rglob("*")]:
        about = path.lstat()
        if path.is_symlink():
            continue
        assert not about.st_mode & (stat.S_ISUID | stat.S_ISGID), path
        assert path == root / "tmp" or not about.st_mode & 0o022, path
        assert about.st_uid == (0 if os.geteuid() == 0 else os.geteuid()), path


def test_it_is_the_same_however_often_it_is_made(root, tmp_path):
    def digest(folder):
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        lines = []
        for name in names:
            about = (folder / name).lstat()
            kind = os.readlink(folder / name) if stat.S_ISLNK(about.st_mode) else (
                hashlib.sha256((folder / name).read_bytes()).hexdigest() if stat.S_ISREG(about.st_mode) else "folder")
            lines.append((name, kind, about.st_mode, int(about.st_mtime)))
        return lines

    assert digest(assemble(tmp_path / "again")) == digest(root)


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    done = subprocess.run([SOURCE / "server/image-root", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# What it says of itself


def test_its_bill_names_every_library_and_program_by_its_contents(root):
    bill = bill_of(root)
    named = {each["name"]: each["hashes"][0]["content"] for component in [*bill["components"],
             bill["metadata"]["component"]] for each in component.get("components", [])}
    for path in files_of(root):
        if is_elf(path):
            name = "/" + str(path.relative_to(root))
            assert named.get(name) == hashlib.sha256(path.read_bytes()).hexdigest(), name


def test_its_bill_has_the_versions_of_what_was_built_for_it(root):
    versions = {each["name"]: each["version"] for each in bill_of(root)["components"]}
    recipe = (SOURCE / "server/deps").read_text()
    for name, variable in {"libwebsockets": "lws_version", "hiredis": "hiredis_version"}.items():
        upstream = re.search(r"^%s=(.*)" % variable, recipe, re.M)[1]
        assert versions[name].startswith(upstream + "-"), versions
    header = (DEPS / "include/llhttp.h").read_text()
    numbers = [re.search(r"#define LLHTTP_VERSION_%s (\d+)" % part, header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
    assert versions["llhttp"].startswith(".".join(numbers)), versions
    assert {"libxxhash-dev", "ca-certificates"} <= set(versions)


def test_scanners_find_the_packages_that_dpkg_has(root):
    entries = {path.name for path in (root / "var/lib/dpkg/status.d").iterdir()}
    copied = {each["name"] for each in bill_of(root)["components"] if each.get("components")}
    assert entries == copied and len(entries) >= 6
    for name in entries:
        text = (root / "var/lib/dpkg/status.d" / name).read_text()
        assert text.startswith("Package: %s\n" % name) and "\nVersion: " in text
        assert (root / "usr/share/doc" / name / "copyright").exists(), name
    assert (root / "etc/os-release").exists()


def test_its_bill_is_valid_cyclonedx(root):
    python = TOOLS / "python/bin/python"
    if not python.exists():
        pytest.skip("no validator of CycloneDX: tests/platform/tools gets it from PyPI")
    program = ("import sys; from cyclonedx.schema import SchemaVersion as V; from cyclonedx.validation.json import "
               "JsonStrictValidator as J; error = J(V.V1_6).validate_str(sys.stdin.read()); sys.exit(error and str(error))")
    run(python, "-c", program, input=(root / "usr/share/doc/push/sbom.json").read_text())


# How it runs


def test_it_serves_read_only_as_nobody_without_capabilities(contained):
    for pid in [contained.pid, *map(int, run("pgrep", "-P", contained.pid).split())]:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Uid"].split() == [str(USER)] * 4
        assert status["CapEff"] == status["CapPrm"] == "0" * 16
        assert status["NoNewPrivs"] == "1"
    assert Path(f"/proc/{contained.pid}/status").read_text().splitlines()[0] == "Name:\tpushd"
    # field 5 is where it is mounted, field 6 how
    mounts = [line.split() for line in Path(f"/proc/{contained.pid}/mountinfo").read_text().splitlines()]
    assert [mount[5].split(",")[0] for mount in mounts if mount[4] == "/"] == ["ro"], mounts


def test_it_is_the_first_process_and_buries_orphans(contained):
    assert re.search(r"^NSpid:\t\d+\t1$", Path(f"/proc/{contained.pid}/status").read_text(), re.M)
    # a shell of this machine's, in the container's namespace, whose child outlives it
    run("nsenter", "--target", contained.pid, "--pid", "sh", "-c", "sh -c 'sleep 0.1 & sleep 0.1 &'")

    def zombies():
        states = run("ps", "-o", "stat=", "--ppid", contained.pid, check=False).split()
        return [state for state in states if state.startswith("Z")]

    time.sleep(0.2)  # until the orphans have ended
    wait_until(lambda: not zombies(), "no zombie is left")


def test_its_own_tool_tells_how_it_is(contained):
    for arguments in (["--health"], ["--health", "live"], ["--health", "ready"]):
        code, text = contained.inside("/usr/bin/pushd", *arguments)
        assert code == 0 and '"UP"' in text, text


def test_the_command_works_inside(contained):
    code, text = contained.inside("/usr/bin/push", "pub", "inside", "hello", "--url", f"127.0.0.1:{contained.port}")
    assert code == 0 and '"subscribers"' in text, text


def test_messages_get_through_and_the_console_is_there(contained):
    with WebSocket(contained.port, "here") as ws, EventStream(contained.port, "here") as sse:
        assert sse.raw() == HEARTBEAT
        wait_until(lambda: contained.publish("warm", 1).status == 202, "publishing")
        assert contained.publish("here", "hello").json == {"subscribers": 2}
        assert ws.message() == sse.message() == ("here", "hello")
    answer = http1.get(contained.port, "/")
    assert answer.status == 200 and "<title>" in answer.text
    assert "etag" in answer.headers


def test_sigterm_asks_clients_to_leave_and_ends_with_0(root):
    need_root()
    settings = {"PUSH_DRAIN_DURATION": "500ms", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "300ms"}
    with Contained(root, **settings) as push, EventStream(push.port, "a") as client:
        assert client.raw() == HEARTBEAT
        push.terminate()
        assert client.next() == RECONNECT
        assert client.raw() is None
        assert push.process.wait() == 0
        assert "ended" in push.process.output()


def test_own_vhosts_are_mounted_over_its_own(root, tmp_path):
    need_root()
    folder = tmp_path / "conf.d"
    shutil.copytree(SOURCE / "conf.d", folder)
    own = folder / "10-push"
    # what the json-c of Debian 13 makes of letters beyond ASCII is to be found out, too
    own.write_text(own.read_text().replace('"mountpoint": "/messages"', '"mountpoint": "/own"')
                   .replace('"headers": [{', '"headers": [{ "x-own": "für uns",'))
    with Contained(root, mounts={folder: "etc/push/conf.d"}) as push:
        assert http1.request(push.port, http1.post('{"channel":"a","message":1}', path="/own")).status == 202
        headers = http1.get(push.port, "/").headers
        assert headers["x-own"] == "für uns"
        assert headers["x-content-type-options"] == "nosniff", "its own beside ours"


def test_what_is_wrong_with_its_environment_is_said_at_once(root):
    need_root()
    push = Contained(root, wait=False, PUSH_DRAIN_DURATION="soon")
    assert push.process.wait() == 1
    assert "PUSH_DRAIN_DURATION=soon" in push.process.output()


def make_certificates(folder):
    """ca.pem, and redis.pem for 127.0.0.1, which it has signed."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=test", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=redis",
        "-keyout", folder / "redis.key", "-out", folder / "redis.csr")
    run("openssl", "x509", "-req", "-in", folder / "redis.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", folder / "ext", "-out", folder / "redis.pem")
    return folder / "redis.pem", folder / "redis.key", folder / "ca.pem"


def test_it_trusts_whom_the_system_trusts(root, tmp_path):
    """The bundle of certificates is where the OpenSSL inside looks for it."""
    need_root()
    certificates = make_certificates(tmp_path)
    with RedisServer(certificate=certificates) as redis:
        url = f"rediss://127.0.0.1:{redis.tls_port}"
        with Contained(root, wait=False, PUSH_REDIS_URL=url, PUSH_WORKERS=1) as push:
            push.process.wait_for("certificate")
        with Contained(root, mounts={certificates[2]: "etc/ssl/certs/ca-certificates.crt"}, PUSH_REDIS_URL=url,
                       PUSH_WORKERS=1) as push:
            wait_until(lambda: push.inside("/usr/bin/pushd", "--health")[0] == 0, "ready with Redis")
            assert push.publish("a", 1).status == 202


# The Dockerfile, without an engine


def test_every_file_that_it_copies_is_there_and_sent():
    sent = {line[1:] for line in (SOURCE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M)
    names = [name for words in copies for name in words.split()]
    assert len(names) > 8
    for name in names:
        assert (SOURCE / name).exists(), name
        assert name == "." or name.split("/")[0] in sent, name
    assert all((SOURCE / name).exists() for name in sent)


def test_its_version_is_the_projects():
    project = re.search(r"project\(push VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text())[1]
    assert re.search(r"^ARG PUSH_VERSION=(\S+)$", DOCKERFILE, re.M)[1] == project


def test_it_names_no_machine():
    """One file for amd64 and arm64."""
    for name in ("Dockerfile", "server/image-root", "server/sbom.py"):
        assert not re.search(r"x86_64-|aarch64-|amd64-linux|--platform", (SOURCE / name).read_text()), name


def test_hadolint_finds_nothing():
    hadolint = TOOLS / "python/bin/hadolint"
    if not hadolint.exists():
        pytest.skip("no hadolint: tests/platform/tools gets it from PyPI")
    run(hadolint, SOURCE / "Dockerfile")


# The Dockerfile, with an engine


@pytest.fixture(scope="module")
def docker():
    return need_engine()


TAG = "push-image-test"


@pytest.fixture(scope="module")
def image(docker):
    docker.build(TAG, SOURCE, "--build-arg", "REVISION=abc", "--build-arg", "SOURCE_DATE_EPOCH=" + EPOCH)
    yield TAG
    docker("rmi", "--force", TAG, check=False)


@pytest.fixture
def container(docker, image):
    """A hardened one, started; its ports are published by the engine."""
    started = []

    def start(*options):
        name = docker("run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
                      "--pids-limit", "64", "--memory", "64m", "--network", "host", *options, image).strip()
        started.append(name)
        return name

    yield start
    for name in started:
        docker("rm", "--force", "--volumes", name)


def ports():
    port, management = free_port(), free_port()
    return port, ["--env", f"SERVER_PORT={port}", "--env", f"MANAGEMENT_SERVER_PORT={management}"]


def test_the_image_is_small_runs_as_10001_and_says_what_it_is(docker, image):
    about = json.loads(docker("image", "inspect", image))[0]
    assert about["Size"] < SIZE_BYTES_MAX
    config = about["Config"]
    assert config["User"] == "%d:%d" % (USER, USER)
    assert config["StopSignal"] == "SIGTERM" and config["Entrypoint"] == ["/usr/bin/pushd"]
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc"
    assert config["Labels"]["org.opencontainers.image.version"]
    assert not [name for name in config["Env"] if name.startswith("PUSH_")]


def test_a_hardened_container_becomes_healthy_serves_and_drains(docker, container):
    port, options = ports()
    name = container(*options, "--env", "PUSH_DRAIN_DURATION=500ms", "--env",
                     "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION=300ms")
    wait_until(lambda: http1.publish(port, "a", 1).status == 202, "publishing")
    with EventStream(port, "a") as client:
        assert client.raw() == HEARTBEAT
        assert http1.publish(port, "a", "hello").json == {"subscribers": 1}
        assert client.message() == ("a", "hello")
        wait_until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", name).strip() == "healthy", "healthy")
        docker("stop", "--time", "20", name)
        assert client.next() == RECONNECT
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"
    assert "pushd: ended" in docker.output_of(name)


def test_a_change_of_push_builds_neither_lws_nor_tools_anew(docker, image, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(SOURCE, tree, ignore=shutil.ignore_patterns("build", ".git", "__pycache__", "node_modules"))
    with (tree / "plugins/core/units.c").open("a") as file:
        file.write("/* changed */\n")
    said = docker.build(TAG + "-changed", tree, "--build-arg", "SOURCE_DATE_EPOCH=" + EPOCH)
    docker("rmi", "--force", TAG + "-changed", check=False)
    step = re.search(r"^#(\d+) \[deps .*server/deps$", said, re.M)[1]
    assert re.search(r"^#%s CACHED" % step, said, re.M), said[-3000:]
    assert re.search(r"Building C object .*units\.c", said)
