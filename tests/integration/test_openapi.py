"""
docs/reference/openapi.yaml holds against a real server, by schemathesis (tests/platform/tools gets it).

It sends requests that the document allows and requests that it does not, and looks at each answer: no 500, a status, a
media type and a body that the document has, and no 2xx for what the document forbids.  schemathesis.toml has its checks.
"""

import subprocess

import pytest

from server import SOURCE, TOOLS, Server

PROGRAM = TOOLS / "api/bin/schemathesis"
# an event stream is one test case and lasts as long as a connection lives; for most of it nothing happens
SHORT = {"PUSH_RECONNECT_DITHER_MIN_DURATION": "1s", "PUSH_RECONNECT_DITHER_MAX_DURATION": "1s",
         "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "100ms"}


STREAMS, OPERATORS = ("subscribe",), ("revoke", "disconnect")


def only(ids):
    return [word for name in ids for word in ("--include-operation-id", name)]


def without(ids):
    return [word for name in ids for word in ("--exclude-operation-id", name)]


@pytest.mark.skipif(not PROGRAM.exists(), reason="no schemathesis: tests/platform/tools gets it")
@pytest.mark.parametrize("examples,operations,port,options", [
    (60, without(STREAMS + OPERATORS), "port", {}),
    (10, without(STREAMS + OPERATORS), "port", {"PUSH_AUTH_ANONYMOUS": "a"}),
    (4, only(STREAMS), "port", {}),
    (12, only(OPERATORS), "management", {"PUSH_AUTH_ANONYMOUS": "a"}),
], ids=["requests", "requests with rights", "event-streams", "operators"])
def test_the_server_answers_as_the_document_says(examples, operations, port, options, tmp_path):
    with Server(PUSH_HISTORY_SIZE=10, **options, **SHORT) as server:
        run = subprocess.run(
            [PROGRAM, "--no-color", "--config-file", SOURCE / "tests/integration/schemathesis.toml", "run",
             SOURCE / "docs/reference/openapi.yaml", "--url", f"http://127.0.0.1:{getattr(server, port)}", "--seed", "13",
             "--max-examples", str(examples), "--phases", "fuzzing", "--continue-on-failure", "--no-shrink", *operations],
            cwd=tmp_path, capture_output=True, text=True)
    lines = [line[:500] for line in (run.stdout + run.stderr).splitlines()]
    assert run.returncode == 0, "\n".join(lines)
