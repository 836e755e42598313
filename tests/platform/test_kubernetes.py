"""The Kubernetes manifests: what kustomize makes of them is right by Kubernetes' own schemas, agrees with itself and with
Push, and boots by its script.  That they run is for a cluster; what their pods of Redis do is test_redis_cluster.py."""

import base64
import json
import math
import os
import re
import shutil
import subprocess

import pytest

import http1
from redis_nodes import rights
from server import LWSWS, PUSHD, SOURCE, BUILD, TOOLS, Server

yaml = pytest.importorskip("yaml", reason="no python3-yaml here: tests/platform/tools installs it")

K8S = SOURCE / "k8s"
HOME = TOOLS / "kubernetes"
VERSION = "1.36"
CUSTOM = {"ScaledObject": "keda.sh/v1alpha1", "HTTPRoute": "gateway.networking.k8s.io/v1", "Certificate": "cert-manager.io/v1"}
OVERLAYS = ["minimal", "redis-cluster", "production"]

if not shutil.which("kubectl"):
    pytest.skip("no kubectl here", allow_module_level=True)


def kustomize(folder):
    run = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    if "components" in run.stderr and "unknown field" in run.stderr:
        pytest.skip("this kubectl is too old for kustomize's components: 1.21 is needed")
    assert run.returncode == 0, run.stderr
    return [o for o in yaml.safe_load_all(run.stdout) if o]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """{overlay: objects}, and one with every component that no overlay has."""
    found = {name: kustomize(K8S / "overlays" / name) for name in OVERLAYS}
    # kustomize takes relative paths only
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(K8S, other / "k8s")
    overlay = other / "k8s/overlays/all"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        "resources: [../../base]\ncomponents: [" +
        ", ".join(f"../../components/{name}" for name in ("redis-cluster", "redis-hpa", "hpa", "gateway", "tokens", "tls")) + "]\n")
    found["components"] = kustomize(overlay)
    page = (SOURCE / "docs/tls.md").read_text()
    (overlay / "kustomization.yaml").write_text(re.search(r"^```yaml\n(.*?)^```$", page, re.S | re.M)[1])
    found["docs"] = kustomize(overlay)
    return found


def one(objects, kind, name="push"):
    match = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    assert len(match) == 1, (kind, name, len(match))
    return match[0]


def pods_of(objects):
    return [o for o in objects if o["kind"] in ("Deployment", "StatefulSet")]


def containers_of(workload):
    pod = workload["spec"]["template"]["spec"]
    return pod.get("initContainers", []) + pod["containers"]


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


def option(name):
    """The default of an option of Push, as the reference gives it."""
    return re.search(rf"^\| `{re.escape(name)}` \| `([^`]*)`", (SOURCE / "docs/reference/options.md").read_text(), re.M)[1]


@pytest.mark.parametrize("overlay", OVERLAYS + ["components"])
def test_every_object_is_right_by_the_schema_of_kubernetes(rendered, overlay, tmp_path):
    if not (HOME / ".done").exists():
        pytest.skip("no schemas here: tests/platform/tools gets them")
    own = [o for o in rendered[overlay] if o["kind"] not in CUSTOM]
    assert {o["kind"] for o in own} >= {"Namespace", "Deployment", "Service", "NetworkPolicy"}

    def check(objects):
        file = tmp_path / "objects.yml"
        file.write_text(yaml.safe_dump_all(objects))
        return subprocess.run([HOME / "python/bin/kubernetes-validate", "--strict", "-k", VERSION, file], capture_output=True,
                              text=True, timeout=60)

    run = check(own)
    assert run.returncode == 0 and (run.stdout + run.stderr).count(" passed ") == len(own), run.stdout + run.stderr
    wrong = json.loads(json.dumps(one(own, "Deployment")))
    wrong["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}
    run = check([wrong])
    assert run.returncode != 0 and "redinessProbe" in run.stdout + run.stderr


def test_every_custom_resource_is_right_by_its_own_schema(rendered):
    if not (HOME / ".done").exists() or not shutil.which("node"):
        pytest.skip("no schemas of custom resources here: tests/platform/tools gets them")
    objects = [o for overlay in rendered.values() for o in overlay if o["kind"] in CUSTOM]
    assert {o["kind"]: o["apiVersion"] for o in objects} == CUSTOM

    def check(these):
        return subprocess.run(["node", str(SOURCE / "tests/platform/validate_custom.js"), str(HOME)], capture_output=True,
                              input="".join(json.dumps(o) + "\n" for o in these), text=True, timeout=60)

    run = check(objects)
    assert run.returncode == 0, run.stdout + run.stderr
    wrong = json.loads(json.dumps(one(rendered["production"], "ScaledObject")))
    wrong["spec"]["triggers"][0]["metadata"]["threshold"] = 5
    assert "must be string" in check([wrong]).stdout


def test_tls_is_served_by_the_file_of_the_documentation_from_the_secret_of_cert_manager(rendered):
    objects = rendered["components"]
    text = (SOURCE / "docs/deploy/30-tls").read_text()
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    mounts = {m["name"]: m for m in pod["containers"][0]["volumeMounts"]}
    volumes = {v["name"]: v for v in pod["volumes"]}
    configs = {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
    assert configs[volumes["tls-vhost"]["configMap"]["name"]]["30-tls"] == text
    assert mounts["tls-vhost"]["mountPath"] == "/etc/push/conf.d/30-tls"
    assert volumes["tls"]["secret"]["secretName"] == one(objects, "Certificate")["spec"]["secretName"]
    assert "subPath" not in mounts["tls"], "it would not be updated"
    for name in "tls.crt", "tls.key":  # of a Secret of type kubernetes.io/tls
        assert f'"{mounts["tls"]["mountPath"]}/{name}"' in text
    ports = {p["name"]: p["containerPort"] for p in pod["containers"][0]["ports"]}
    assert f'"port": "{ports["https"]}"' in text
    service = {p["name"]: (p["port"], p["targetPort"]) for p in one(objects, "Service")["spec"]["ports"]}
    assert service == {"http": (8080, "http"), "https": (443, "https")}
    open_to_all = [p["port"] for r in one(objects, "NetworkPolicy")["spec"]["ingress"] if "from" not in r for p in r["ports"]]
    assert open_to_all == ["http", "https"]


def test_an_overlay_names_the_hosts_and_the_issuer_of_the_certificate(rendered):
    spec = one(rendered["docs"], "Certificate")["spec"]
    assert (spec["dnsNames"], spec["issuerRef"]["name"]) == (["push.example.com"], "letsencrypt")


def test_the_one_file_is_up_to_date():
    run = subprocess.run([K8S / "render", "--check"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, "write it anew: k8s/render\n" + run.stdout + run.stderr


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_keep_to_pod_security_restricted(rendered, overlay):
    labels = one(rendered[overlay], "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in pods_of(rendered[overlay]):
        pod = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] >= 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for volume in pod["volumes"]:
            assert volume.keys() & {"emptyDir", "configMap"}, volume
        for container in containers_of(workload):
            security = container["securityContext"]
            assert security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]}}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"] and "cpu" not in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_pods_and_ports_have_names(rendered, overlay):
    objects = rendered[overlay]
    pods = [(w["spec"]["template"]["metadata"]["labels"], {p["name"] for c in containers_of(w) for p in c.get("ports", [])})
            for w in pods_of(objects)]

    def ports(selector):
        match = [names for labels, names in pods if selector.items() <= labels.items()]
        assert len(match) == 1, (selector, "selects", len(match))
        return match[0]

    for service in (o for o in objects if o["kind"] == "Service"):
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports(service["spec"]["selector"])
    for budget in (o for o in objects if o["kind"] == "PodDisruptionBudget"):
        ports(budget["spec"]["selector"]["matchLabels"])
    for policy in (o for o in objects if o["kind"] == "NetworkPolicy"):
        named = ports(policy["spec"]["podSelector"]["matchLabels"])
        for rule in policy["spec"]["ingress"]:
            assert {p["port"] for p in rule["ports"]} <= named
            for peer in rule.get("from", []):
                if "podSelector" in peer:
                    ports(peer["podSelector"]["matchLabels"])
    for workload in pods_of(objects):
        assert workload["spec"]["selector"]["matchLabels"].items() <= workload["spec"]["template"]["metadata"]["labels"].items()
        for each in workload["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            ports(each["labelSelector"]["matchLabels"])
    one(objects, "Service", "push")
    names = {o["metadata"]["name"] for o in objects if o["kind"] == "Service"}
    for workload in (w for w in pods_of(objects) if w["kind"] == "StatefulSet"):
        assert workload["spec"]["serviceName"] in names


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_monitoring_reaches_the_port_of_operators(rendered, overlay):
    policy = one(rendered[overlay], "NetworkPolicy")
    for rule in policy["spec"]["ingress"]:
        if {"port": "management"} in [{"port": p["port"]} for p in rule["ports"]]:
            assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
            break
    else:
        raise AssertionError("nobody may scrape")
    assert [p["port"] for p in one(rendered[overlay], "Service")["spec"]["ports"]] == [8080]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_drain_fits_into_the_grace_period(rendered, overlay):
    pod = one(rendered[overlay], "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    env = {e["name"]: e.get("value") for e in container["env"]}
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = before + seconds(env["PUSH_DRAIN_DURATION"]) + seconds(option("push.client.close.grace.period.duration"))
    assert pod["terminationGracePeriodSeconds"] >= needed + 5


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_push_takes_its_environment(rendered, overlay):
    """As pushd itself checks it."""
    if not PUSHD.exists():
        pytest.skip("Push is not built")
    values = {"REDIS_PUSH_PASSWORD": "a-password", "PUSH_WORKERS": "1"}
    env = {}
    for each in one(rendered[overlay], "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]:
        value = each.get("value", values.get(each["name"]))
        assert value, each
        env[each["name"]] = re.sub(r"\$\((\w+)\)", lambda m: env[m[1]], value)
    run = subprocess.run([PUSHD, "--check", "--config", SOURCE, "--plugins", BUILD / "plugins", "--mounts", SOURCE / "mounts",
                          "--lwsws", LWSWS], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stdout + run.stderr
    assert ("PUSH_REDIS_URL" in env) == (overlay != "minimal")


def test_a_rolling_update_takes_no_pod_away_first(rendered):
    for overlay in ("redis-cluster", "production"):
        strategy = one(rendered[overlay], "Deployment")["spec"]["strategy"]
        assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert one(rendered["minimal"], "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert one(rendered["minimal"], "Deployment")["spec"]["replicas"] == 1


def test_replicas_are_the_autoscalers_where_there_is_one(rendered):
    for overlay in ("redis-cluster", "production", "components"):
        assert "replicas" not in one(rendered[overlay], "Deployment")["spec"]
    for overlay in ("production", "components"):
        assert "replicas" not in one(rendered[overlay], "StatefulSet", "redis")["spec"]
    assert one(rendered["redis-cluster"], "StatefulSet", "redis")["spec"]["replicas"] == 6


def test_no_password_is_checked_in_for_production(rendered):
    assert not [o for o in rendered["production"] + rendered["minimal"] if o["kind"] == "Secret"]
    secret = one(rendered["redis-cluster"], "Secret", "redis")
    assert {base64.b64decode(v) for v in secret["data"].values()} == {b"for-trying-only"}


def test_proxies_wait_longer_than_a_connection_lives(rendered):
    longest = seconds(option("push.reconnect.dither.max.duration")) + seconds(option("push.client.close.grace.period.duration"))
    notes = one(rendered["production"], "Ingress")["metadata"]["annotations"]
    prefix = "nginx.ingress.kubernetes.io/proxy-"
    assert float(notes[prefix + "read-timeout"]) > longest and float(notes[prefix + "send-timeout"]) > longest
    assert notes[prefix + "buffering"] == notes[prefix + "request-buffering"] == "off"
    assert "non_idempotent" not in notes[prefix + "next-upstream"]
    route = one(rendered["components"], "HTTPRoute")
    by_path = {m["path"]["value"]: r["timeouts"]["request"] for r in route["spec"]["rules"] for m in r["matches"]
               if "headers" not in m}
    assert by_path == {"/ws/messages": "0s", "/sse/messages": "0s", "/": "15s"}
    assert seconds(by_path["/"]) > sum(map(seconds, map(option, ("push.publish.wait.max", "push.redis.timeout", "push.redis.publish.wait"))))


def test_both_autoscalers_want_the_same(rendered):
    hpa = one(rendered["components"], "HorizontalPodAutoscaler")["spec"]
    keda = one(rendered["production"], "ScaledObject")["spec"]
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]
    targets = [m["pods"]["target"]["averageValue"] for m in hpa["metrics"] if m["type"] == "Pods"]
    assert [t["metadata"]["threshold"] for t in keda["triggers"] if t["type"] == "prometheus"] == targets
    assert hpa["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert hpa["behavior"]["scaleDown"]["stabilizationWindowSeconds"] > 3 * seconds(option("push.reconnect.dither.max.duration"))


def wanted(pods, ratio, behavior, least, most):
    """How many pods the autoscaler asks for, by its algorithm and its policies of one period."""
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    if 1 - float(down["tolerance"]) <= ratio <= 1 + float(up["tolerance"]):
        return pods
    step = {name: rule["policies"][0]["value"] for name, rule in behavior.items()}
    count = math.ceil(round(pods * ratio, 9))
    return max(least, min(most, pods + step["scaleUp"], max(pods - step["scaleDown"], count)))


def test_redis_is_scaled_by_a_master_and_its_replica_at_a_time(rendered):
    hpa = one(rendered["components"], "HorizontalPodAutoscaler", "redis")["spec"]
    for rule in hpa["behavior"].values():
        assert [(p["type"], p["value"]) for p in rule["policies"]] == [("Pods", 2)]
    sizes = set()
    for pods in range(hpa["minReplicas"], hpa["maxReplicas"] + 1, 2):
        for percent in range(0, 1000):
            then = wanted(pods, percent / 100, hpa["behavior"], hpa["minReplicas"], hpa["maxReplicas"])
            assert then in (pods - 2, pods, pods + 2), (pods, percent, then)
            sizes.add((pods, then))
            if then > pods:
                # what was enough for a step up is not enough for one back
                assert percent / 100 * pods / then >= 1 - float(hpa["behavior"]["scaleDown"]["tolerance"])
            if then < pods:
                assert percent / 100 * pods / then <= 1 + float(hpa["behavior"]["scaleUp"]["tolerance"])
    assert {(6, 8), (8, 6), (10, 12), (12, 10)} <= sizes


def test_redis_grows_before_it_is_full_and_goes_no_further_than_its_script(rendered):
    hpa = one(rendered["components"], "HorizontalPodAutoscaler", "redis")["spec"]
    redis = one(rendered["components"], "StatefulSet", "redis")
    memory, cpu = (m["containerResource"]["target"]["averageValue"] for m in hpa["metrics"])
    full = int(re.search(r"^maxmemory (\d+)mb$", (K8S / "base/redis/redis.conf").read_text(), re.M)[1])
    assert float(memory.removesuffix("Mi")) * (1 + float(hpa["behavior"]["scaleUp"]["tolerance"])) < 0.8 * full
    assert {m["containerResource"]["container"] for m in hpa["metrics"]} <= {c["name"] for c in containers_of(redis)}
    assert f"size=${{REDIS_SIZE:-{hpa['minReplicas']}}}" in (K8S / "base/redis/cluster.sh").read_text()
    assert hpa["behavior"]["scaleDown"]["policies"][0]["periodSeconds"] >= \
        redis["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    env = {e["name"]: e.get("value") for e in one(rendered["components"], "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["PUSH_REDIS_SHARDED"] == "on"


def test_both_autoscalers_of_redis_want_the_same(rendered):
    hpa = one(rendered["components"], "HorizontalPodAutoscaler", "redis")["spec"]
    keda = one(rendered["production"], "ScaledObject", "redis")["spec"]
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (hpa["minReplicas"], hpa["maxReplicas"])
    assert keda["scaleTargetRef"] == hpa["scaleTargetRef"]
    assert [(t["type"], t["metricType"], t["metadata"]) for t in keda["triggers"]] == [
        (r["name"], r["target"]["type"], {"containerName": r["container"], "value": r["target"]["averageValue"]})
        for r in (m["containerResource"] for m in hpa["metrics"])]


def test_push_may_do_in_redis_what_the_page_on_redis_says(rendered):
    script = (K8S / "base/redis/cluster.sh").read_text()
    given = set(re.search(r"^user push on >\$PUSH_PASSWORD (.*)$", script, re.M)[1].split())
    assert given == set(rights("history", "cluster", "tokens"))


def test_the_script_can_be_read_in_the_one_file():
    """kustomize writes text with tabs, or spaces at the end of a line, as one long quoted line."""
    text = (K8S / "cluster.yml").read_text()
    for name in ("cluster.sh", "plan.awk", "redis.conf"):
        assert f"  {name}: |\n" in text


@pytest.mark.parametrize("script", ["k8s/render", "k8s/init-cluster.sh", "k8s/base/redis/cluster.sh", "tests/platform/tools"])
def test_scripts_satisfy_shellcheck(script):
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck here")
    run = subprocess.run(["shellcheck", "-x", "--source-path=SCRIPTDIR", script], cwd=SOURCE, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout


FAKE = """#!/bin/sh
# keeps its arguments and what it is given
echo "$(basename "$0") $*" >>"$FAKE_HOME/calls"
case "$*" in
*'config current-context') echo "$FAKE_CONTEXT" ;;
*'apply -f -') cat >"$FAKE_HOME/applied" ;;
*'get secret redis'*'{.data.password}'*) cat "$FAKE_HOME/password" 2>/dev/null || true ;;
'image inspect '*) exit 1 ;;
esac
"""


def boot(folder, context, *arguments):
    for name in ("kubectl", "minikube", "kind", "docker"):
        fake = folder / name
        fake.write_text(FAKE)
        fake.chmod(0o755)
    return subprocess.run([K8S / "init-cluster.sh", *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={"PATH": f"{folder}:{os.environ['PATH']}", "FAKE_HOME": str(folder), "FAKE_CONTEXT": context})


def test_the_boot_script_makes_passwords_and_loads_the_image_into_minikube(tmp_path):
    run = boot(tmp_path, "minikube", "--image", "push:1.2.3")
    assert run.returncode == 0, run.stderr
    calls = (tmp_path / "calls").read_text()
    assert "docker build --tag push:1.2.3" in calls and "minikube --profile minikube image load push:1.2.3" in calls
    assert calls.index("image load") < calls.index("apply -f -") < calls.index("rollout status statefulset/redis")
    assert "curl -N 'http://localhost:8080/sse/messages?channels=qwerty'" in run.stdout
    applied = list(yaml.safe_load_all((tmp_path / "applied").read_text()))
    secret = one(applied, "Secret", "redis")["data"]
    passwords = [base64.b64decode(v).decode() for v in secret.values()]
    assert len(set(passwords)) == 2 and all(re.fullmatch("[0-9a-f]{48}", p) for p in passwords)
    assert not any(p in calls + run.stdout + run.stderr for p in passwords)
    assert one(applied, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] == "push:1.2.3"
    # but for these it is the file
    assert len(applied) == len(list(yaml.safe_load_all((K8S / "cluster.yml").read_text())))


def test_the_boot_script_keeps_passwords_that_are_there(tmp_path):
    (tmp_path / "password").write_text(base64.b64encode(b"mine").decode())
    run = boot(tmp_path, "kind-here")
    assert run.returncode == 0, run.stderr
    assert "kind load docker-image --name here push:latest" in (tmp_path / "calls").read_text()
    secret = one(yaml.safe_load_all((tmp_path / "applied").read_text()), "Secret", "redis")["data"]
    assert base64.b64decode(secret["password"]) == b"mine"


def test_the_boot_script_leaves_the_image_to_another_cluster(tmp_path):
    run = boot(tmp_path, "production-eu", "--context", "other")
    assert run.returncode == 0, run.stderr
    calls = (tmp_path / "calls").read_text()
    assert "docker" not in calls and "--context other apply -f -" in calls
    assert boot(tmp_path, "x", "--image", "a|b").returncode == 1


def test_with_tokens_push_reads_the_files_of_its_secret(rendered):
    pod = one(rendered["components"], "Deployment")["spec"]["template"]["spec"]
    push = pod["containers"][0]
    env = {e["name"]: e.get("value") for e in push["env"]}
    (mount,) = [m for m in push["volumeMounts"] if m["name"] == "keys"]
    (volume,) = [v for v in pod["volumes"] if v["name"] == "keys"]
    assert volume["secret"] == {"secretName": "push-keys", "defaultMode": 0o440} and mount["readOnly"]
    assert env["PUSH_AUTH_KEYS"] == mount["mountPath"] + "/app.jwk.pub"
    assert env["PUSH_PUBLISH_KEYS"] == mount["mountPath"] + "/publish.keys"
    assert not [o for o in rendered["components"] if o["kind"] == "Secret" and o["metadata"]["name"] == "push-keys"]


def test_the_commands_of_the_component_make_files_that_push_accepts(tmp_path):
    text = (K8S / "components/tokens/kustomization.yaml").read_text()
    commands = re.findall(r"^#   (push token .+?)(?: +#.*)?$", text, re.M)
    assert len(commands) == 2
    path = f"{BUILD / 'server'}:{os.environ['PATH']}"
    for command in commands:
        subprocess.run(["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, capture_output=True)
    with Server(PUSH_AUTH_KEYS=str(tmp_path / "app.jwk.pub"), PUSH_PUBLISH_KEYS=str(tmp_path / "publish.keys")) as server:
        key = (tmp_path / "shop.key").read_text().strip()
        body = '{"channel":"orders:1","message":1}'
        assert http1.request(server.port, http1.post(body, headers=[f"Push-Key: {key}"])).status == 202
        assert http1.request(server.port, http1.post(body)).status == 401
