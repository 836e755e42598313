"""
What watches Push: alerts, dashboards, the runbook, and the files around them, held against a real Push and a real
Prometheus.

A name in a query that Push does not have is an empty panel, or an alert that never fires: nothing else would tell.
"""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from http1 import get
from ports import free_port
from redis_servers import Cluster, RedisServer, wait_until
from server import SOURCE, TOOLS, Process, Server
from sseclient import EventStream
from wsclient import WebSocket

MONITORING = SOURCE / "k8s/monitoring"
RUNBOOK = sorted((SOURCE / "docs/operate").glob("runbook*.md"))
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
ALERTS = (MONITORING / "alerts.yml").read_text()
RULE = re.compile(r"- alert: (\w+)\n(.*?)(?=\n      - alert:|\n\n|\Z)", re.S)

# Units that Grafana knows by these names.
UNITS = {"short", "percentunit", "s", "bytes", "Bps", "mps", "reqps", "cps", "ops"}
# Labels that Prometheus adds, beside those that Push says.
TARGET_LABELS = {"job", "instance", "namespace", "pod"}
# Metrics that are not Push's.
PROMETHEUS_OWN = {"up", "ALERTS"}


def tool(name, *, needs="tests/platform/monitoring/tools"):
    for path in (TOOLS / "bin" / name, TOOLS / name, Path(shutil.which(name) or "/nowhere")):
        if path.exists():
            return path
    pytest.skip(f"no {name}: {needs} gets it")


def promtool(*arguments, **more):
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expressions_of_alerts():
    found = re.findall(r"^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", ALERTS, re.M)
    return [block or line for block, line in found]


def panels_of(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets_of(board):
    return [(panel["title"], target) for panel in panels_of(board) for target in panel["targets"]]


def concrete(expression, job=".*", instance=".*", interval="5m"):
    """Without Grafana's variables."""
    return (expression.replace("$__rate_interval", interval).replace("$job", job).replace("$instance", instance))


# --- the files by themselves

def test_promtool_accepts_the_rules_and_their_tests_pass():
    promtool("check", "rules", MONITORING / "alerts.yml")
    promtool("test", "rules", MONITORING / "alerts_test.yml")


def test_each_alert_is_tested_to_fire_and_not_to_fire():
    tests = (MONITORING / "alerts_test.yml").read_text()
    for name, _ in RULE.findall(ALERTS):
        cases = re.findall(r"alertname: " + name + r"( \}|\n\s+exp_alerts)", tests)
        assert any("exp_alerts" in case for case in cases), f"{name} is not seen to fire"
        assert any("}" in case for case in cases), f"{name} is not seen not to fire"


def test_promtool_accepts_prometheus_configuration(tmp_path):
    config = (MONITORING / "prometheus.yml").read_text()
    assert "/etc/prometheus/alerts.yml" in config
    (tmp_path / "prometheus.yml").write_text(
        config.replace("/etc/prometheus/alerts.yml", str((MONITORING / "alerts.yml").resolve())))
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_the_prometheus_rule_for_kubernetes_is_what_the_rules_say():
    done = subprocess.run([MONITORING / "render", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_component_for_kubernetes_holds_rules_pods_and_dashboards(tmp_path):
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl: the component is not rendered")
    component = os.path.relpath((SOURCE / "k8s/components/monitoring").resolve(), tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(
        f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\ncomponents: [{component}]\n")
    done = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split("\n---\n")
    assert sorted(re.search(r"^kind: (\w+)", part, re.M)[1] for part in parts) == [
        "ConfigMap", "ConfigMap", "PodMonitor", "PrometheusRule"]
    for part in parts:  # what kubectl apply notes of one
        assert len(part) < 250_000
    rule = next(part for part in parts if "kind: PrometheusRule" in part)
    assert re.findall(r"alert: (\w+)", rule) == [name for name, _ in RULE.findall(ALERTS)]


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_each_alert_names_a_section_of_the_runbook_and_each_section_an_alert():
    rules = RULE.findall(ALERTS)
    assert len(rules) == ALERTS.count("- alert:") > 10
    sections = [(name, (page, text)) for page in RUNBOOK
                for name, text in re.findall(r"^## (\w+)\n\n(.*?)(?=\n## |\Z)", page.read_text(), re.M | re.S)]
    assert sorted(name for name, _ in sections) == sorted(name for name, _ in rules)
    for name, text in rules:
        page, section = dict(sections)[name]
        assert f"runbook: {page.relative_to(SOURCE)}#{anchor(name)}\n" in text + "\n", name
        assert re.search(r"severity: (critical|warning) \}", text), name
        for part in (r"\*\*Means:\*\*", r"\*\*Users notice:\*\*", r"\*\*Ignore it\*\*|Never ignore it"):
            assert re.search(part, section), (name, part)


def test_the_index_of_the_runbook_has_each_alert():
    index = re.findall(r"\[(Push\w+)\]\(\S*#\w+\)", (SOURCE / "docs/operate/runbook.md").read_text().split("\n## ")[0])
    assert sorted(index) == sorted(name for name, _ in RULE.findall(ALERTS))


# --- dashboards by themselves

def test_there_is_a_dashboard_for_push_and_one_for_redis():
    assert [path.stem for path in DASHBOARDS] == ["push", "redis"]


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.stem)
def board(request):
    return json.loads(request.param.read_text())


def test_ids_are_unique_and_panels_lie_side_by_side(board):
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert re.fullmatch(r"push-\w+", board["uid"]) and board["id"] is None and board["title"].startswith("Push")
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_every_panel_says_what_it_shows_in_which_unit_and_of_the_chosen_source(board):
    for panel in panels_of(board):
        assert len(panel["description"]) > 20, panel["title"]
        unit = panel["options"]["yAxis"]["unit"] if panel["type"] == "heatmap" else (
            panel["fieldConfig"]["defaults"]["unit"])
        assert unit in UNITS, (panel["title"], unit)
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"


def test_a_variable_chooses_each_of_source_job_and_instance(board):
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job", "instance"]
    for title, target in targets_of(board):
        if "ALERTS" in target["expr"]:
            continue
        for selector in re.findall(r"\{([^}]*)\}", target["expr"]):
            assert 'job=~"$job"' in selector and 'instance=~"$instance"' in selector, title


def test_the_origins_panels_are_there():
    shown = " ".join(target["expr"] for _, target in targets_of(json.loads(DASHBOARDS[0].read_text())))
    for name in ("ws_connections_count", "sse_connections_count", "ws_messages_total", "sse_messages_total",
                 "pub_messages_total"):
        assert name + "{" in shown


def test_every_query_of_a_dashboard_is_promql(board, tmp_path):
    rules = [{"record": f"test:query{number}", "expr": concrete(target["expr"])}
             for number, (_, target) in enumerate(targets_of(board))]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yml")


def test_dashboards_hold_against_grafanas_own_schema():
    check = tool("check-dashboard", needs="tests/platform/monitoring/tools --all")
    done = subprocess.run([check, *DASHBOARDS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_grafana_is_told_where_they_are():
    provider = (MONITORING / "grafana/dashboards/push.yml").read_text()
    assert "path: /var/lib/grafana/dashboards" in provider
    source = (MONITORING / "grafana/datasources/push.yml").read_text()
    scrape = re.search(r"scrape_interval: (\w+)", (MONITORING / "prometheus.yml").read_text())[1]
    assert f"timeInterval: {scrape}\n" in source


# --- against a real Push, and a real Prometheus

class Prometheus:
    """Debian's, on Push's own rules; some of them are less patient here."""

    def __init__(self, folder, targets):
        self.port = free_port()
        rules = re.sub(r"(alert: (?:PushBrokerDown|PushDown)\n.*\n +for): \w+", r"\1: 1s", ALERTS)
        assert rules.count("for: 1s") == 2
        (folder / "alerts.yml").write_text(rules)
        jobs = [{"job_name": name, "metrics_path": "/actuator/prometheus",
                 "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
                for name, ports in targets.items()]
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "400ms", "evaluation_interval": "500ms"},
            "rule_files": [str(folder / "alerts.yml")], "scrape_configs": jobs}))
        self.process = Process([tool("prometheus"), f"--config.file={folder}/prometheus.yml",
                                f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                                "--log.level=warn"], {})
        wait_until(lambda: self.read("/-/ready"), "Prometheus is ready")

    def read(self, path):
        """An error is an OSError."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return answer.read()

    def ask(self, path, **query):
        return json.loads(self.read(path + "?" + urllib.parse.urlencode(query)))["data"]

    def query(self, expression):
        return self.ask("/api/v1/query", query=expression)["result"]

    def firing(self):
        return {(alert["labels"]["alertname"], alert["labels"].get("instance"))
                for alert in self.ask("/api/v1/alerts")["alerts"] if alert["state"] == "firing"}

    def close(self):
        self.process.kill()


def use(server):
    """A little of everything, so that each counter has been counted."""
    with WebSocket(server.port, "room") as ws, EventStream(server.port, "room") as sse:
        ws.read_frame(), ws.read_frame(), sse.raw()  # the first ping, heartbeat: subscribed in Redis, too
        for number in range(20):
            assert server.publish("room", number).status == 202
        for number in range(20):
            assert ws.message() == ("room", number)
            assert b"event:message" in sse.raw()


def read_metrics(server):
    """{name: {label: {values}}}, a histogram's by its parts."""
    found = {}
    for line in get(server.management, "/actuator/prometheus").text.splitlines():
        if line.startswith("#"):
            continue
        name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line).groups()
        kept = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
            kept.setdefault(label, set()).add(value)
    return found


@pytest.fixture(scope="module")
def world():
    """One Push with a cluster behind it, and one by itself with history."""
    with Cluster() as cluster, Server(PUSH_REDIS_URL=cluster.url, PUSH_HISTORY_SIZE=10) as clustered, \
            Server(PUSH_HISTORY_SIZE=10) as single:
        yield clustered, single


def names_and_selectors(expression):
    """Names with the labels that they are selected by: [(name, [(label, operator, value)])]."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"\b((?:push|process|ws|sse|pub|up|ALERTS)(?:_\w+)?)\b(?=[\s{\[)]|$)", bare))
    selected = [(name, re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', labels))
                for name, labels in re.findall(r"(\w+)\{([^}]*)\}", expression)]
    return names, selected


def test_every_metric_and_label_that_is_asked_for_exists(world):
    known = read_metrics(world[0])
    alone = read_metrics(world[1])
    only_alone = set(alone) - set(known)
    assert all(name.startswith("push_broker_") for name in only_alone), only_alone
    known.update({name: alone[name] for name in only_alone})
    expressions = expressions_of_alerts() + [target["expr"] for path in DASHBOARDS
                                             for _, target in targets_of(json.loads(path.read_text()))]
    asked = set()
    for expression in expressions:
        names, selected = names_and_selectors(expression)
        assert names, expression
        asked |= names
        for name, labels in selected:
            for label, operator, value in labels:
                if label in TARGET_LABELS or name in PROMETHEUS_OWN:
                    continue
                assert label in known[name], f"{name} has no label {label}: {expression}"
                for one in value.split("|") if operator == "=~" else [value]:
                    if re.fullmatch(r"\w+", one):
                        assert one in known[name][label], f"{name} is never {label}={one}: {expression}"
    assert asked - set(known) == PROMETHEUS_OWN
    # nothing that Push counts is shown nowhere; the last three are for dashboards that were made for the origin
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} | asked
    assert {name for name in known if name not in shown and re.sub(r"_(bucket|sum|count)$", "", name) not in shown} == {
        "process_start_time_seconds", "process_max_fds",
        "process_uptime_seconds", "process_cpu_usage", "http_server_requests_seconds_count"}


# Nothing to show while all is well.
MAY_BE_EMPTY = {"Age of the keys", "CPU per delivery", "Memory per connection"}


def test_prometheus_has_an_answer_for_every_panel_and_fires_when_redis_is_gone(world, tmp_path):
    with RedisServer() as redis, Server(PUSH_REDIS_URL=redis.url()) as watched:
        servers = [*world, watched]
        dead = free_port()
        prometheus = Prometheus(tmp_path, {"push": [*(server.management for server in servers), dead]})
        try:
            wait_until(lambda: len(prometheus.query("push_broker_up == 1")) == 3, "all are scraped")
            for server in servers:
                use(server)
            wait_until(lambda: len(prometheus.query("rate(push_messages_sent_total[2s]) > 0")) >= 6, "it was counted")
            empty = []
            for path in DASHBOARDS:
                for title, target in targets_of(json.loads(path.read_text())):
                    if title not in MAY_BE_EMPTY and not prometheus.query(concrete(target["expr"], interval="10s")):
                        empty.append((path.stem, title, target["expr"]))
            assert empty == []
            missed = ("PushDown", f"127.0.0.1:{dead}")
            wait_until(lambda: prometheus.firing() == {missed}, "who does not answer is missed, and nothing else")

            down = {("PushBrokerDown", f"127.0.0.1:{watched.management}")}
            redis.kill()
            wait_until(lambda: down <= prometheus.firing(), "PushBrokerDown fires")
            assert prometheus.firing() == down | {missed}
            redis.restart()
            wait_until(lambda: not down & prometheus.firing(), "and is over when Redis is back")
        finally:
            prometheus.close()
