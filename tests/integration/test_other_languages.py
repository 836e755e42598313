"""docs/other-languages.md and docs/languages: each program works as it stands, and misses nothing when it reconnects."""

import re
import shutil
import time

import pytest

from http1 import publish
from server import SOURCE, TOOLS, Process, Server

COUNT = 20
PROGRAMS = {
    "python": ("other-languages.md", "push.py", ["/usr/bin/python3", "push.py"]),
    "go": ("languages/go.md", "push.go", ["go", "run", "push.go"]),
    "java": ("languages/java.md", "Push.java", ["java", "Push.java"]),
    "php": ("languages/php.md", "push.php", ["php", "push.php"]),
}
SLACK_S = 100  # compilers on a busy machine


@pytest.fixture(params=PROGRAMS)
def program(request, tmp_path):
    """Starts it with arguments, against a server whose connections live for a second or two."""
    page, file, command = PROGRAMS[request.param]
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    text = re.search(rf"^```{request.param}\n(.*?)^```$", (SOURCE / "docs" / page).read_text(), re.S | re.M)[1]
    with Server(PUSH_HISTORY_SIZE=1000, PUSH_RECONNECT_DITHER_MIN_DURATION="1s", PUSH_RECONNECT_DITHER_MAX_DURATION="2s",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="500ms") as server:
        (tmp_path / file).write_text(text.replace("http://localhost:8080", f"http://127.0.0.1:{server.port}"))
        started = []

        def start(*arguments):
            started.append(Process(["env", "-C", tmp_path, *command, *arguments], 
                                   {"HOME": tmp_path, "LD_PRELOAD": "", "GOCACHE": TOOLS / "go-cache"}))
            return started[-1]

        try:
            yield server, start
        finally:
            for process in started:
                process.kill()


def test_it_publishes_and_gets_every_message_once_and_in_order_over_several_connections(program):
    server, start = program
    subscriber = start("subscribe", "news")
    server.wait_metric('push_connections{transport="sse"}', 1, SLACK_S)
    publisher = start("publish", "news", "m0")
    assert publisher.wait(SLACK_S) == 0, publisher.output()
    subscriber.wait_for("m0", SLACK_S)
    for number in range(1, COUNT):
        assert publish(server.port, "news", f"m{number}").status == 202
        if number % 5 == 0:  # the next one comes by another connection
            opened = server.metric('push_connections_opened_total{transport="sse"}')
            while server.metric('push_connections_opened_total{transport="sse"}') == opened:
                assert subscriber.process.poll() is None, subscriber.output()
                time.sleep(0.02)
    subscriber.wait_for(f"m{COUNT - 1}\\b", SLACK_S)
    assert re.findall(r"\bm\d+\b", subscriber.output()) == [f"m{number}" for number in range(COUNT)]
