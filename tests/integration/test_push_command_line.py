"""The command `push` as a tool: how it ends, TLS, what it says of itself, and what it shows operators."""

import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from xml.etree import ElementTree

import pytest

from h2client import make_certificate
from ports import free_port
from push_command import (BROKEN, DONE, NO, PUSH, REFUSED, TRANSPORTS, UNAVAILABLE, UNREACHABLE, USAGE, Running, run)
from server import BUILD, SOURCE, Server, environment
from tokens import Key, write_jwks

KEY = Key()
SVG = "{http://www.w3.org/2000/svg}"


# How it ends


@pytest.mark.parametrize("command", [("sub", "a"), ("sub", "a", "--sse"), ("pub", "a", "b"), ("pub", "a", "-"),
                                     ("history", "a"), ("top",), ("health",)], ids=" ".join)
def test_no_server_is_said_with_its_address(command):
    port = free_port()
    code, lines, errors = run(None, *command, stdin="x\n", PUSH_URL=f"http://127.0.0.1:{port}",
                              PUSH_MANAGEMENT_URL=f"http://127.0.0.1:{port}")
    assert (code, lines) == (UNREACHABLE, [])
    assert errors.startswith(f"push: http://127.0.0.1:{port} cannot be reached: Connection refused\n"), errors


def test_sub_waits_for_a_server_where_it_is_told_to():
    with Server(wait=False) as server, Running(server, "sub", "early", "--retry") as sub:
        sub.error("^push: connected")
        assert sub.end() == DONE


@pytest.mark.parametrize("command,said", [
    (("sub", "x" * 300), "channel name"), (("sub", "x" * 300, "--sse"), "answered 400: "),
    (("pub", "x" * 300, "m"), "400: "), (("history", "never"), "404: the channel has no history"),
    (("pub", "a", "m", "--ttl", "soon"), "400: ")])
def test_what_the_server_refuses_is_said_in_its_words(server, command, said):
    code, lines, errors = run(server, *command)
    assert (code, lines) == (REFUSED, []) and said in errors, errors


def test_another_origin_is_refused(tmp_path):
    with Server(PUSH_CORS_ALLOWED_ORIGINS="https://a.example") as server:
        for command in (("sub", "a"), ("sub", "a", "--sse"), ("pub", "a", "b")):
            code, _, errors = run(server, *command, "--header", "Origin: https://b.example")
            assert code == REFUSED and "403" in errors, errors


@pytest.mark.parametrize("command", [("sub", "a"), ("sub", "a", "--sse"), ("pub", "a", "b"), ("history", "a")], ids=" ".join)
def test_what_is_not_push_is_said(command):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            client, _ = listener.accept()
            client.recv(65536)
            client.sendall(b"-ERR unknown command\r\n" * 100)
            client.close()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        code, lines, errors = run(None, *command, PUSH_URL=f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert (code, lines) == (BROKEN, []) and "is that Push?" in errors, errors


def test_a_server_that_cannot_serve_now_is_said():
    with Server(PUSH_REDIS_URL=f"redis://127.0.0.1:{free_port()}", PUSH_REDIS_PUBLISH_WAIT="100ms", wait=False,
                PUSH_REDIS_TIMEOUT="1s", PUSH_DRAIN_DURATION="100ms") as server:
        server.process.wait_for("not ready")
        code, lines, errors = run(server, "pub", "a", "b")
        assert (code, lines) == (UNAVAILABLE, []) and ": 503: " in errors, errors
        code, lines, errors = run(server, "health", PUSH_MANAGEMENT_URL=f"http://127.0.0.1:{server.management}")
        assert code == NO and '"status":"DOWN"' in lines[0] and "answered 503" in errors
        assert run(server, "health", "live")[0] == DONE


@pytest.mark.parametrize("words,said", [
    (("sbu", "a"), "sbu: no such command; did you mean sub? (push --help)"),
    (("sub", "a", "--form", "x"), "--form: push sub has no such option; did you mean --from? (push sub --help)"),
    (("pub", "a", "b", "--kye=x"), "--kye: push pub has no such option; did you mean --key? (push pub --help)"),
    (("sub",), "usage: push sub CHANNEL... [option...] (push sub --help)"),
    (("pub", "a"), "usage: push pub CHANNEL MESSAGE|- [option...] (push pub --help)"),
    (("pub", "a", "b", "c"), "c: unexpected (push pub --help)"),
    (("sub", "a", "--from"), "--from: needs a value, ID"), (("sub", "a", "--json=1"), "--json: takes no value"),
    (("sub", "a", "--count", "0"), "--count 0: must be a number of at least 1"),
    (("sub", "a", "--name", "n", "--sse"), "--name is not supported with --sse"),
    (("pub", "a", "-", "--key", "k"), "--key is not supported with lines from stdin"),
    (("pub", "a", "{", "--json"), "the message must be JSON"), (("pub", "a", "-5"), "-5: options begin with --"),
    (("sub", "a,b"), "'a,b': a channel name must not contain a comma"),
    (("sub", "a", "--url", "ftp://x"), "--url=ftp://x: must begin with http:// or https://"),
    (("sub", "a", "--url", "http://x:99999"), "--url=http://x:99999: the port must be a number from 1 to 65535"),
    (("config", "push.history.sise"), "push.history.sise: no such option; did you mean push.history.size?"),
    (("health", "well"), "health well: must be live or ready"),
    (("completion", "tcsh"), "completion tcsh: must be bash, zsh or fish")])
def test_a_wrong_command_line_is_said(words, said):
    code, lines, errors = run(None, *words)
    assert (code, lines) == (USAGE, []) and errors.startswith("push: " + said), errors


def test_an_address_may_be_given_in_many_ways(server):
    for url in (f"127.0.0.1:{server.port}", f"http://localhost:{server.port}/", f"ws://127.0.0.1:{server.port}"):
        assert run(None, "pub", "a", "b", "--url", url)[0] == DONE
    code, _, errors = run(None, "pub", "a", "b", PUSH_URL="http://x:y")
    assert code == USAGE and errors.startswith("push: PUSH_URL=http://x:y: ")


# TLS


def test_https_needs_a_certificate_that_is_trusted(tmp_path):
    from test_tls import VHOST
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    with Server(conf_d={"30-tls": VHOST % (port, certificate, key)}, PUSH_HISTORY_SIZE=10) as server:
        trusted = {"PUSH_URL": f"https://localhost:{port}", "SSL_CERT_FILE": str(certificate)}
        for how in TRANSPORTS.values():
            with Running(server, "sub", "tls", *how, **trusted) as sub:
                sub.connected()
                assert run(server, "pub", "tls", "-", stdin="1\n2\n", **trusted)[1] == ['{"subscribers":1}'] * 2
                assert sub.wait_lines(2) == ["1", "2"]
        assert run(server, "history", "tls", **trusted)[1] == ["1", "2"] * 2
        for command in (("sub", "tls"), ("pub", "tls", "x")):
            code, _, errors = run(server, *command, PUSH_URL=f"https://localhost:{port}")
            assert code == UNREACHABLE and "certificate" in errors.lower(), errors


# What it says of itself


def commands():
    text = subprocess.run([PUSH, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  (\w+(?: [\w-]+)?)  +\S", text.split("\nCommands\n")[1].split("\nOptions\n")[0], re.M)


def options(command):
    text = subprocess.run([PUSH, *command.split(), "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  (--[\w-]+)", text, re.M)


def test_help_names_every_command_and_what_each_needs():
    assert commands() == ["sub", "pub", "history", "health", "check", "config", "top", "bench", "token key", "token make",
                          "token check", "token explain", "token publish-key", "completion"]
    expected = {"sub": "from name json sse count retry quiet token url header", "pub": "json ttl key wait token url header",
                "history": "from before limit json token url header", "health": "management token header config",
                "check": "config plugins mounts", "config": "json config plugins mounts", "top": "once management token header",
                "bench": "clients seconds out token url header", "token key": "alg out kid",
                "token make": "key sub subscribe publish history channels expires iss aud kid alg",
                "token check": "keys may iss aud", "token explain": "", "token publish-key": "rate bytes out", "completion": ""}
    for command, names in expected.items():
        assert options(command) == [f"--{name}" for name in [*names.split(), "help"]]
        text = subprocess.run([PUSH, *command.split(), "--help"], capture_output=True, text=True, check=True).stdout
        assert "\nExamples\n  " in text and "\nExit codes\n  0 " in text and f"usage: push {command}" in text
        assert all(len(line) <= 110 for line in text.split("\n")), command


def test_it_says_its_version():
    version = re.search(r"project\(push VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text())[1]
    assert run(None, "--version") == (DONE, [f"push {version}"], "")


def test_the_manual_page_names_everything_and_is_well_formed():
    text = (BUILD / "server/cli/push.1").read_text()
    plain = text.replace("\\-", "-")
    for command in commands():
        assert f".SS push {command}" in plain
        assert all(f".B {option}" in plain for option in options(command) if option != "--help")
    for section in ("SYNOPSIS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES"):
        assert f".SH {section}" in text
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def completions_of(*words):
    script = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _push; printf "%s\\n" "${COMPREPLY[@]}"'
    return subprocess.run(["bash", "-c", script, BUILD / "server/cli/push.bash", *words], capture_output=True, text=True,
                          check=True).stdout.split()


def test_bash_completes_commands_and_options():
    assert completions_of("push", "") == [*dict.fromkeys(name.split()[0] for name in commands()), "--help", "--version"]
    assert completions_of("push", "hi") == ["history"]
    assert completions_of("push", "sub", "chat", "--") == options("sub")
    assert completions_of("push", "health", "l") == ["live"]
    assert completions_of("push", "token", "") == ["key", "make", "check", "explain", "publish-key", "--help"]
    assert completions_of("push", "token", "check", "x", "--") == options("token check")
    assert BUILD.name in completions_of("push", "token", "make", "--key", str(BUILD))[0], "a file"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_completions(shell):
    script = BUILD / f"server/cli/push.{shell}"
    text = script.read_text()
    for command in commands():
        assert command in text or f"-a {command.split()[-1]} " in text
        for option in options(command):
            assert (f"-l {option[2:]} " if shell == "fish" else f"{option}") in text or option == "--help"
    if shutil.which(shell):
        subprocess.run([shell, "-n", script], check=True, capture_output=True)


# For operators


PLACES = ("--plugins", BUILD / "plugins", "--mounts", SOURCE / "mounts")


def local(server, *command, **env):
    """With the server's own configuration and environment."""
    return run(None, command[0], "--config", server.folder, *command[1:],
               **{"SERVER_PORT": server.port, "MANAGEMENT_SERVER_PORT": server.management, **env})


def test_health_asks_the_server_of_the_configuration(server):
    assert local(server, "health") == (DONE, ['{"status":"UP"}'], "")
    port = free_port()
    code, _, errors = local(server, "health", MANAGEMENT_SERVER_PORT=port)
    assert code == NO and f"http://127.0.0.1:{port}/actuator/health/readiness: Connection refused" in errors
    assert run(server, "health", "live") == (DONE, ['{"status":"UP"}'], "")


def test_check_says_what_is_wrong_with_the_configuration(server):
    assert local(server, "check", *PLACES) == (DONE, [f"{server.folder}: configuration is valid"], "")
    code, lines, errors = local(server, "check", *PLACES, PUSH_DRAIN_DURATION="soon")
    assert (code, lines) == (NO, []) and errors.startswith("push: PUSH_DRAIN_DURATION=soon: not a duration")
    assert local(server, "check", *PLACES, PUSH_WORKERS=33)[0] == NO, "more than the embedded broker has room for"


def test_config_says_each_value_and_where_it_comes_from():
    with Server(options={"push-history-size": 100, "push.history.ttl": "1m"}) as server:
        env = {"PUSH_HISTORY_TTL": "2m", "PUSH_REDIS_URL": "redis://me:geheim@db", "PUSH_URL": "http://x"}
        names = subprocess.run([BUILD / "server/pushd", "--help"], capture_output=True, text=True,
                               env=environment({})).stdout
        code, lines, errors = local(server, "config", "--json", *PLACES, **env)
        shown = {row["name"]: (row["value"], row["source"]) for row in json.loads("".join(lines))}
        assert [name.upper().replace(".", "_") for name in shown] == re.findall(r"^  (PUSH_\w+) ", names, re.M)
        assert shown["push.history.size"] == ("100", "conf.d/10-push")
        assert shown["push.history.ttl"] == ("2m", "environment PUSH_HISTORY_TTL")
        assert shown["push.drain.duration"] == ("30s", "default")
        assert shown["push.redis.url"] == ("redis://me:***@db", "environment PUSH_REDIS_URL")
        assert "geheim" not in "".join(lines) + errors
        code, lines, _ = local(server, "config", "push.redis.url", SPRING_REDIS_HOST="h", SPRING_REDIS_PASSWORD="geheim")
        assert re.match(r"push.redis.url +redis://.*:?\*\*\*@h\S* +environment SPRING_", lines[0]), lines
        text = "\n".join(local(server, "config", *PLACES, PUSH_WORKERS=1)[1])
        assert re.search(r"^workers +1 +environment PUSH_WORKERS$", text, re.M), text
        assert re.search(rf"^port of the vhost push +{server.port} +environment SERVER_PORT$", text, re.M)


def test_config_shows_a_wrong_value_and_says_so(server):
    code, lines, errors = local(server, "config", *PLACES, PUSH_DRAIN_DURATION="soon")
    assert code == NO and any(re.match("push.drain.duration +soon +environment", line) for line in lines)
    assert "PUSH_DRAIN_DURATION=soon" in errors


def figure(name, text):
    return int(re.search(rf"^{name} +(\d+) a second", text, re.M)[1])


def test_top_shows_clients_and_rates():
    with Server() as server, Running(server, "sub", "top") as sub, Running(server, "pub", "top", "-", stdin=True) as pub:
        sub.connected()
        text = None
        while text is None or not (figure("publishes", text) and figure("deliveries", text)):
            with Running(server, "top") as top:
                while top.process.poll() is None:
                    pub.process.stdin.write("x\n" * 10)
                    pub.process.stdin.flush()
                    time.sleep(0.02)
                assert top.wait() == DONE
            text = "\n".join(top.lines)
    assert re.match(r"Push \S+ at http://127.0.0.1:\d+, broker: memory", text)
    assert re.search(r"^clients +1 WebSocket, 0 event stream", text, re.M), text
    assert re.search(r"^publishes +\d+ a second, 0 of them refused", text, re.M), text
    assert re.search(r"^event loop +delay under", text, re.M) and re.search(r"^queues +", text, re.M)


def test_top_is_drawn_anew_on_a_terminal_until_it_is_ended(server):
    terminal, ours = os.openpty()
    top = subprocess.Popen([PUSH, "top", "--management", f"http://127.0.0.1:{server.management}"], stdout=ours,
                           stdin=subprocess.DEVNULL, env=environment({}))
    os.close(ours)
    try:
        seen = b""
        while seen.count(b"\x1b[2J") < 2:
            seen += os.read(terminal, 4096)
        top.send_signal(signal.SIGINT)
        assert top.wait(30) == DONE
    finally:
        top.kill()
        os.close(terminal)


def test_control_characters_do_not_reach_a_terminal(server):
    terminal, ours = os.openpty()
    sub = subprocess.Popen([PUSH, "sub", "control", "--count", "1", "--url", f"http://127.0.0.1:{server.port}"],
                           stdout=ours, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment({}), text=True)
    os.close(ours)
    try:
        assert "connected" in sub.stderr.readline()
        run(server, "pub", "control", "\x1b[2Jhello")
        assert os.read(terminal, 4096).strip() == b"\\x1b[2Jhello"
        assert sub.wait(30) == DONE
    finally:
        sub.kill()
        sub.stderr.close()
        os.close(terminal)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    write_jwks(keys, KEY)
    with Server(PUSH_AUTH_KEYS=str(keys)) as running:
        yield running


def test_bench_shows_a_token_and_prints_and_draws_what_the_server_holds(guarded, tmp_path):
    server, file = guarded, tmp_path / "token"
    file.write_text(KEY.token(subscribe=["ch*"], publish=["ch*"], padding="x" * 2000))
    code, lines, errors = run(server, "bench", "--clients", 50, "--seconds", 1, "--out", tmp_path / "held.svg",
                              "--token", f"@{file}")
    assert code == DONE, errors
    rows = [line.split() for line in lines if re.search(r" 0$", line)]
    assert len(rows) == 5 and all(float(row[-5]) > 0 for row in rows), lines
    assert any(line.startswith("Next: ") for line in lines)
    assert lines[-1] == f"Picture: {tmp_path}/held.svg"
    assert re.findall(r"^push: bench: (\d of \d): .", errors, re.M) == [f"{number} of 5" for number in range(1, 6)]

    tree = ElementTree.parse(tmp_path / "held.svg").getroot()
    texts = [(float(node.get("x")), float(node.get("y")), node.text) for node in tree.iter(f"{SVG}text")]
    words = [text for _, _, text in texts]
    for wanted in ("What this machine holds", "50", "clients at once", "of memory a client", "deliveries a second",
                   "99 % of messages within", f"Push 0.1.0 at 127.0.0.1:{server.port}, {time.strftime('%Y-%m-%d', time.gmtime())}"):
        assert wanted in words, words
    # each figure of the table stands in the picture
    bars = [node for node in tree.iter(f"{SVG}rect") if node.get("class") == "bar"]
    assert len(bars) == 4 and max(float(bar.get("width")) for bar in bars) > 300
    for row in rows[1:]:
        assert f"{round(float(row[-5])):,}" in words
    width, height = float(tree.get("width")), float(tree.get("height"))
    assert all(0 <= x <= width and 0 <= y <= height for x, y, _ in texts)


def test_bench_says_before_it_begins_if_its_picture_cannot_be_written(server, tmp_path):
    code, lines, errors = run(server, "bench", "--out", tmp_path / "none/held.svg")
    assert (code, lines, errors) == (
        NO, [], f"push: bench: {tmp_path}/none/held.svg cannot be written: No such file or directory\n")


def test_bench_that_cannot_reach_the_server_leaves_no_picture(tmp_path):
    code, _, errors = run(None, "bench", "--out", tmp_path / "held.svg", "--url", f"http://127.0.0.1:{free_port()}")
    assert code == UNREACHABLE and "cannot be reached" in errors, errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rights, text", [
    (None, "401: no right to publish to 'ch0' without a token\npush: show a token with --token or PUSH_TOKEN"),
    ({}, "403: no right to publish to 'ch0'"), ({"publish": ["ch*"]}, "bench: there must be a right to subscribe to 'ch0'")])
def test_bench_without_the_rights_ends_before_it_begins(guarded, tmp_path, rights, text):
    env = {} if rights is None else {"PUSH_TOKEN": KEY.token(**rights)}
    code, lines, errors = run(guarded, "bench", "--out", tmp_path / "held.svg", **env)
    assert (code, lines) == (REFUSED, []) and text in errors, errors
    assert not list(tmp_path.iterdir())


@pytest.fixture
def proxy():
    """In front of a management port: what was asked, and with what."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, self.headers["Authorization"]))
            body = b'{"status":"UP"}' if "health" in self.path else b'push_connections{transport="ws"} 1\n'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("command, path", [(("top", "--once"), "/actuator/prometheus"),
                                           (("health",), "/actuator/health/readiness")], ids=["top", "health"])
def test_a_token_is_shown_to_the_management_port_only_if_the_command_line_has_it(proxy, tmp_path, command, path):
    (tmp_path / "token").write_text("secret\n")
    for options, expected in (["--token", f"@{tmp_path}/token"], "Bearer secret"), ([], None):
        proxy.asked.clear()
        code, _, errors = run(None, *command, *options, PUSH_TOKEN="other",
                              PUSH_MANAGEMENT_URL=f"http://127.0.0.1:{proxy.server_port}")
        assert code == DONE, errors
        assert set(proxy.asked) == {(path, expected)}
