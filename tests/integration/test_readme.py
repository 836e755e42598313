"""What the README says is true: its commands run, and show what stands below them; its table is the options'."""

import re
import subprocess
import threading

import pytest

from server import BUILD, DIRECT, SOURCE, TOOLS, environment

README = (SOURCE / "README.md").read_text()
BLOCKS = re.findall(r"<!-- test(: \w+)? -->\n```sh\n(.*?)```\n\n```text\n(.*?)```", README, re.S)
SECONDS = 4


@pytest.mark.parametrize("needs,commands,expected", BLOCKS, ids=[b[1].split("\n")[0][:60] for b in BLOCKS])
def test_the_commands_show_what_the_readme_says(server, needs, commands, expected):
    if "websocat" in needs and not (TOOLS / "bin/websocat").exists():
        pytest.skip("no websocat: cargo is missing")
    if "direct" in needs and not DIRECT:
        pytest.skip("lws takes no chunked bodies")
    commands = commands.replace("localhost:8080", f"127.0.0.1:{server.port}")
    commands = commands.replace("localhost:8000", f"127.0.0.1:{server.management}")
    env = environment({"PUSH_URL": f"http://127.0.0.1:{server.port}"})
    env.pop("LD_PRELOAD", None)
    env["PATH"] = f"{BUILD / 'server'}:{TOOLS / 'bin'}:{env['PATH']}"
    stop = threading.Event()

    def publish_now_and_then():
        while not stop.wait(0.3):
            server.publish("qwerty", "hello")

    publisher = threading.Thread(target=publish_now_and_then)
    publisher.start()
    try:
        out = subprocess.run(["timeout", str(SECONDS), "bash", "-c", commands], capture_output=True, text=True, env=env,
                             stdin=subprocess.DEVNULL).stdout
    finally:
        stop.set()
        publisher.join()
    place = 0
    for line in expected.strip().split("\n"):
        place = out.find(line, place)
        assert place >= 0, f"no '{line}' in:\n{out}"


def test_there_are_commands_to_test():
    assert len(BLOCKS) >= 4


def test_the_table_of_options_is_the_programs():
    rows = re.findall(r"^\| `(push\.[a-z.]+)` \| `(PUSH_\w+)` \| (?:`([^`]*)`)? ?\| (.*?) \|$", README, re.M)
    text = subprocess.run([BUILD / "server/pushd", "--help"], capture_output=True, text=True, env=environment({})).stdout
    known = re.findall(r"^  (PUSH_\w+) +(\S+)? {1,} *(.*)$", text, re.M)
    assert [row[1] for row in rows] == [option[0] for option in known]
    for name, variable, default, meaning in rows:
        assert variable == name.upper().replace(".", "_")
        assert re.search(rf"^  {variable} +{re.escape(default)} +{re.escape(meaning)}$", text, re.M), variable
