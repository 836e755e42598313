"""
docs/reference/ is what the programs say of themselves.

The part of a page between `<!-- generated: NAME -->` and `<!-- end -->` comes from the program.  After a change of the
program, PUSH_DOCS_WRITE=1 writes it anew:

    PUSH_DOCS_WRITE=1 ctest --test-dir build/release -R integration.reference
"""

import os
import re
import subprocess

import pytest

from http1 import get
from push_command import PUSH
from redis_servers import RedisServer
from server import BUILD, PUSHD, SOURCE, Server, environment

REFERENCE = SOURCE / "docs/reference"
GENERATED = re.compile(r"(<!-- generated: (\w+) -->\n\n)(.*?)(\n<!-- end -->)", re.S)


def text_of(command):
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment({})).stdout


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def options():
    # in columns: an empty default is blank
    known = re.findall(r"^  (PUSH_.{37}) (\S*) +(.*)$", text_of([PUSHD, "--help"]), re.M)
    names = re.findall(r'"(push\.[a-z0-9.]+)"', (SOURCE / "plugins/core/options.h").read_text())
    by_variable = {name.upper().replace(".", "_"): name for name in names}
    return table(("option", "default", "meaning"),
                 [(f"`{by_variable[variable.strip()]}`", f"`{default}`" if default else "", meaning)
                  for variable, default, meaning in known])


def of_the_embedded_broker():
    with Server(PUSH_WORKERS=2) as server:
        text = get(server.management, "/actuator/prometheus").body.decode()
    return "".join(re.findall(r"^(?:# (?:HELP|TYPE) )?push_broker_.*\n", text, re.M))


def metrics():
    """Of a server with everything switched on, and what is there only without Redis."""
    with RedisServer() as redis, Server(PUSH_REDIS_URL=redis.url(), PUSH_HISTORY_SIZE=1, PUSH_WORKERS=2,
                                        PUSH_TRACE_URL="http://127.0.0.1:9/") as server:
        text = get(server.management, "/actuator/prometheus").body.decode()
    embedded = re.sub(r"^(# (HELP|TYPE) )?push_broker_up .*\n", "", of_the_embedded_broker(), flags=re.M)
    text = re.sub(r"^(# HELP push_redis_)", lambda found: embedded + found[1], text, count=1, flags=re.M)
    rows = []
    for name, meaning in re.findall(r"^# HELP (\w+) (.*)$", text, re.M):
        kind = re.search(rf"^# TYPE {name} (\w+)$", text, re.M)[1]
        samples = re.findall(rf"^{name}(?:_bucket)?{{(.*?)}} ", text, re.M)
        labels = sorted({label for sample in samples for label in re.findall(r'(\w+)="', sample)} - {"le"})
        rows.append((f"`{name}`", kind, " ".join(f"`{label}`" for label in labels), meaning))
    return table(("metric", "type", "labels", "meaning"), rows)


def pushd():
    return f"```text\n{text_of([PUSHD, '--help'])}```\n"


def push():
    """What `push --help` says, and the options of each command."""
    text = text_of([PUSH, "--help"])
    names = re.findall(r"^  ([a-z]+(?: [a-z-]+)?)  +\S", text.split("\nCommands\n")[1].split("\nOptions\n")[0], re.M)
    rows = []
    for name in names:
        known = text_of([PUSH, *name.split(), "--help"]).split("\nOptions\n")[1].split("\nExit codes\n")[0]
        known = re.sub(r"\n {26,}", " ", known)
        rows += [(f"`push {name}`", f"`{option}`", meaning) for option, meaning in
                 re.findall(r"^  (--\S+(?: '[^']+'| \S+)?) *\s (.+)$", known, re.M) if option != "--help"]
    return f"```text\n{text}```\n\n" + table(("command", "option", "meaning"), rows)


PARTS = {make.__name__: make for make in (options, metrics, push, pushd)}
PLACES = [(page, part[1]) for page in sorted(REFERENCE.glob("*.md")) for part in GENERATED.findall(page.read_text())]


@pytest.mark.parametrize("page,part", PLACES, ids=[part for _, part in PLACES])
def test_the_page_shows_what_the_program_says(page, part):
    text = page.read_text()
    fresh = PARTS[part]()
    if os.environ.get("PUSH_DOCS_WRITE"):
        page.write_text(GENERATED.sub(lambda found: found[1] + fresh + found[4] if found[2] == part else found[0], text))
    else:
        shown = next(found[3] for found in GENERATED.finditer(text) if found[2] == part)
        assert shown == fresh, "PUSH_DOCS_WRITE=1 writes it anew"


def test_each_part_stands_on_a_page():
    assert {part for _, part in PLACES} == set(PARTS)


def test_the_table_of_options_has_every_option_with_its_default_and_meaning():
    rows = re.findall(r"^\| `(push\.[a-z0-9.]+)` \| (?:`([^`]*)`)? ?\| (.*?) \|$", (REFERENCE / "options.md").read_text(), re.M)
    source = re.sub(r'"\s*\\?\n\s*"', "", (SOURCE / "plugins/core/options.h").read_text())
    known = re.findall(r'X\(\w+, \w+, "(push\.[a-z0-9.]+)", (?:"([^"]*)"|(\w+)),\s*\\?\s*"([^"]*)"\)', source)
    assert len(known) > 40
    assert rows == [(name, text or re.search(rf'#define {macro} "(.*)"', source)[1] if macro else text, meaning)
                    for name, text, macro, meaning in known]


def constants(names, folder):
    """The values of macros in the headers of plugins/, by compiling them."""
    headers = ["core/limits.h", "direct/limits.h", "redis/limits.h", "trace/limits.h", "core/wsframe.h",
               "core/identity.h", "auth/limits.h", "h2/limits.h", "tls/limits.h"]
    program = "#include <stdio.h>\n#include <stdint.h>\n" + "".join(f'#include "{h}"\n' for h in headers) + \
        "int main(void) {\n" + "".join(f'printf("%llu\\n", (unsigned long long)({n}));\n' for n in names) + "}\n"
    (folder / "constants.c").write_text(program)
    subprocess.run(["cc", "-std=gnu11", f"-I{SOURCE / 'plugins'}", f"-I{BUILD}", "-o", folder / "constants",
                    folder / "constants.c"], check=True)
    return dict(zip(names, map(int, text_of([folder / "constants"]).split())))


UNITS = {"": 1, "bytes": 1, "kB": 1024, "MB": 1024 ** 2, "GB": 1024 ** 3, "µs": 1, "ms": 1000, "s": 10 ** 6,
         "min": 60 * 10 ** 6, "h": 3600 * 10 ** 6, "a second": 1, "%": 1}


def test_each_fixed_limit_has_the_value_of_its_constant(tmp_path):
    rows = re.findall(r"^\| ([\d,.]+)(?: ([a-zA-Zµ% ]+))? \| .* \| `(PUSH_\w+)` \|$", (REFERENCE / "limits.md").read_text(), re.M)
    values = constants([name for _, _, name in rows], tmp_path)
    assert len(rows) > 30
    for number, unit, name in rows:
        value = values[name] * (10 ** 6 if unit in ("s", "min", "h") and name.endswith("_S") else 1)
        assert round(float(number.replace(",", "")) * UNITS[unit]) == value, name


def code(path):
    """With literals in one piece, and without comments and messages of static assertions."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    text = re.sub(r'"\s*\n?\s*\\?\s*\n?\s*"', "", text)
    return re.sub(r"_Static_assert\(.*?\);", "", text, flags=re.S).replace('\\"', "\0")


ERRORS = [error for page in ("errors.md", "errors-at-start.md", "errors-of-tokens.md", "malformed-requests.md")
          for error in re.findall(r"^\| `([^`]+)` \|", (REFERENCE / page).read_text(), re.M)]


def test_each_error_on_the_page_is_one_that_the_programs_send():
    sources = "\n".join(code(path) for folder in ("plugins", "server") for path in (SOURCE / folder).rglob("*.[ch]"))
    assert len(ERRORS) > 100
    for error in ERRORS:
        for part in re.split(r"\bX\b|\bN\b", error):
            assert part.strip() in sources.replace("\0", '"'), error


# What clients and publishers get comes from these; what only operators get is in many more places.
ANSWERING = """core/channels core/json core/jsonscan core/live core/acks core/acks_request core/subscriber core/durable core/status
broker/broker broker/message broker/publishing broker/reading broker/lines broker/idempotency broker/client_publishes broker/control broker/permission
http/health http/loggers request/body request/exchange request/page request/query request/route request/subscription ws/ws_conn
direct/head direct/http_conn lwsio/head lwsio/request auth/token_refusal auth/jws auth/claims
auth/authenticator auth/order broker/admission core/disconnect core/identified http/taking_back request/credentials"""
# Headers, and texts that nobody is answered with.
OTHER = re.compile(r"text/|no-cache|access-control|vary|push\.trace\.url: |'\] = '|unknown status|over a limit$|too often$|Bearer|a client is refused: |a notice of |a revocation cannot|read again|.*stay in use$|.*: read again")


def answers():
    """Each literal that reads like an error text."""
    for stem in ANSWERING.split():
        for path in (SOURCE / "plugins").glob(f"{stem}.[ch]"):
            text = re.sub(r"push_(broker_say|log\w*)\(.*?\);", "", code(path), flags=re.S)
            for literal in re.findall(r'"([^"\n]*)"', text):
                literal = re.sub(r'^{"error":"(.*)"}$', r"\1", literal.replace("\0", '"'))
                reads_like_one = re.search(r"^[a-z'](?=.* [a-z0-9'])| (must|is missing)\b", literal)
                if reads_like_one and "\\" not in literal and not OTHER.match(literal):
                    yield literal


def test_each_error_that_clients_and_publishers_get_is_on_the_page():
    texts, page = set(answers()), "\n".join(ERRORS)
    assert len(texts) > 80
    missing = {text for text in texts
               if not all(part.strip() in page for part in re.split(r"%[-.*\d]*[a-z]*", text))}
    assert missing == set()
