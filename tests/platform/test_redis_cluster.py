"""
The Redis cluster of the Kubernetes manifests sets itself up and mends itself: the pods' own script (k8s/base/redis) runs
real redis-servers as six pods, which lose addresses, disks and lives, while a real Push node serves a client from them.

The tests of one cluster go from one to the next: each ends as it began, with a cluster that is whole.
"""

import os
import signal
import subprocess
import threading
import time

import pytest

import redis_pods
from http1 import publish
from redis_pods import Pods
from redis_servers import wait_until
from server import Server
from wsclient import PING_TEXT, TEXT, WebSocket

reason = redis_pods.missing()
pytestmark = pytest.mark.skipif(reason is not None, reason=reason or "")

CHANNELS = [f"pod-{i}" for i in range(24)]  # of all masters


class PushInside(Server):
    """Push where the pods' names are known."""

    def __init__(self, pods, **env):
        self.inside = pods.inside()
        super().__init__(PUSH_REDIS_URL=pods.url(), PUSH_REDIS_SHARDED="on", PUSH_REDIS_TIMEOUT="1s",
                         PUSH_RECONNECT_DITHER_MIN_DURATION="300s", PUSH_RECONNECT_DITHER_MAX_DURATION="301s",
                         # a client that waits for pods does not answer pings
                         PUSH_HEARTBEAT_INTERVAL_DURATION="290s", PUSH_DRAIN_DURATION="100ms", **env)

    def _limited(self, files):
        return self.inside + super()._limited(files)


class Watch:
    """A client of all channels."""

    def __init__(self, pods):
        self.push = PushInside(pods)
        assert "not known" not in self.push.process.output(), "the Service's name is asked for as it is"
        self.client = WebSocket(self.push.port, ",".join(CHANNELS), timeout=20)
        # the first heartbeat says that all is subscribed: from here on nothing is missed in silence
        assert self.client.read_frame() == (TEXT, PING_TEXT.encode())
        self.round = 0
        self.check()

    def _publish(self, channel, message):
        self.answer = publish(self.push.port, channel, message)
        return self.answer.status == 202 and self.answer.json["subscribers"] > 0

    def _publish_all(self, channels):
        for channel in channels:
            try:
                wait_until(lambda c=channel: self._publish(c, self.round), f"a publish to {channel} is taken")
            except AssertionError as error:
                raise AssertionError(f"{error}: {self.answer.status} {self.answer.text}\n{self.push.process.output()[-4000:]}") from None

    def check(self):
        """Each channel works: what is published reaches the client, or it is told of a gap."""
        self.round += 1
        missing = set(CHANNELS)
        self._publish_all(missing)
        while missing:
            event = self.client.event()
            if event["event"] == "gap":
                self._publish_all(missing)
                continue
            data = event["data"]
            if data["message"] == self.round:
                missing.discard(data["channel"])

    def close(self):
        self.client.close()
        with self.push:
            pass


@pytest.fixture(scope="module")
def pods():
    with Pods() as running:
        running.wait_settled()
        yield running


@pytest.fixture(scope="module")
def watch(pods):
    watching = Watch(pods)
    yield watching
    watching.close()


def by_role(pods, is_master):
    """The last pod of a role: the first one is who looks after the others."""
    return [p for p in pods.running() if p.is_master() == is_master][-1]


def test_six_pods_become_a_cluster_by_themselves(pods):
    pods.check_whole(masters=3)
    assert sorted(pods.masters().values()) == [5461, 5461, 5462]


def test_a_replica_is_on_another_machine_than_its_master_and_masters_are_spread(pods):
    assert pods.shared_machines() == []
    assert len({p.machine for p in pods.masters()}) == 3


def test_nothing_is_done_to_a_cluster_that_is_well(pods, watch):
    before = pods.nodes()
    for pod in pods.running():
        plan = pod.script("plan")
        assert (plan.returncode, plan.stdout) == (0, ""), plan
    # a second sidecar, as after a restart of the container, on every pod at once
    seconds = [pod._run("keep") for pod in pods.running()]
    time.sleep(1)
    for each in seconds:
        assert each.poll() is None
        each.terminate()
        assert each.wait(5) == 0, "the sidecar ends by itself when it is told to"
    key = [(n[0], n[1], n[5], n[6]) for n in sorted(before)]
    assert key == [(n[0], n[1], n[5], n[6]) for n in sorted(pods.nodes())]
    watch.check()


def test_push_may_do_what_it_needs_and_nothing_else(pods, watch):
    """The user that the script gives to Push."""
    with redis_pods.Client(pods.port, host=pods.pods[0].ip) as client:
        with pytest.raises(redis_pods.RedisError, match="NOAUTH"):
            client.command("PING")
        client.command("AUTH", "push", redis_pods.PUSH_PASSWORD)
        for forbidden in (["FLUSHALL"], ["CONFIG", "GET", "*"], ["CLUSTER", "RESET"], ["GET", "other"]):
            with pytest.raises(redis_pods.RedisError, match="NOPERM"):
                client.command(*forbidden)


@pytest.mark.parametrize("is_master", [False, True], ids=["replica", "master"])
def test_a_pod_that_comes_back_with_another_address_takes_its_place_again(pods, watch, is_master):
    pod = by_role(pods, is_master)
    old, address = pod.id(), pod.ip
    pod.kill()
    pod.start(new_ip=True)
    assert pod.ip != address
    pods.wait_settled()
    pods.check_whole(masters=3)
    assert pod.id() == old
    assert any(n[0] == old and n[1].startswith(pod.ip) for n in pods.nodes())
    watch.check()


def test_pods_that_all_come_back_with_other_addresses_find_each_other(pods, watch):
    ids = sorted(p.id() for p in pods.running())
    for pod in pods.pods:
        pod.kill()
    for pod in pods.pods:
        pod.start(new_ip=True)
    pods.wait_settled()
    pods.check_whole(masters=3)
    assert sorted(p.id() for p in pods.running()) == ids
    watch.check()


@pytest.mark.parametrize("is_master, new_ip", [
    pytest.param(False, False, id="replica-same-address", marks=pytest.mark.soak),
    pytest.param(False, True, id="replica", marks=pytest.mark.soak),
    pytest.param(True, False, id="master-same-address", marks=pytest.mark.soak),
    pytest.param(True, True, id="master"),
])
def test_a_pod_that_comes_back_with_an_empty_disk_replaces_what_it_was(pods, watch, is_master, new_ip):
    pod = by_role(pods, is_master)
    old = pod.id()
    pod.kill()
    pod.lose_disk()
    pod.start(new_ip=new_ip)
    pods.wait_settled()
    pods.check_whole(masters=3)
    assert pod.id() != old
    assert pods.shared_machines() == []
    watch.check()


@pytest.mark.soak
def test_the_first_pod_with_an_empty_disk_does_not_begin_a_second_cluster(pods, watch):
    first = pods.pods[0]
    first.kill()
    first.lose_disk()
    first.start(new_ip=True)
    pods.wait_settled()
    pods.check_whole(masters=3)
    watch.check()


@pytest.mark.soak
def test_a_master_and_its_replica_that_both_lose_their_disks_lose_no_slots(pods, watch):
    master = by_role(pods, True)
    replica = next(p for p in pods.running() for n in pods.nodes() if n[5] == master.id() and n[0] == p.id())
    for pod in (master, replica):
        pod.kill()
        pod.lose_disk()
    for pod in (master, replica):
        pod.start(new_ip=True)
    pods.wait_settled()
    pods.check_whole(masters=3)
    watch.check()


def test_a_pod_that_ends_hands_over_first(pods, watch):
    """A rolling update of all six: no publish fails, and each pod is ready again before the next one goes."""
    failed, total, ended, began, steps = [], [], threading.Event(), time.monotonic(), []

    def publish_on():
        number = 0
        while not ended.is_set():
            number += 1
            answer = publish(watch.push.port, CHANNELS[number % len(CHANNELS)], "during")
            total.append(answer.status)
            if answer.status != 202:
                failed.append((time.monotonic() - began, answer.status, answer.text))
            time.sleep(0.005)

    thread = threading.Thread(target=publish_on)
    thread.start()
    try:
        for pod in reversed(pods.pods):
            steps.append((time.monotonic() - began, pod.name, "master" if pod.is_master() else "replica"))
            pod.terminate()
            assert all(not p.is_master() or p.is_running() for p in pods.running())
            pod.start(new_ip=True)
            pods.wait_ready()
    finally:
        ended.set()
        thread.join()
    pods.wait_settled()
    pods.check_whole(masters=3)
    assert len(total) > 100 and not failed, f"{len(failed)} of {len(total)}: {failed} {steps} {watch.push.process.output()[-3000:]}"
    watch.check()


@pytest.mark.soak
def test_more_pods_share_the_slots_and_give_them_back_when_they_leave(pods, watch):
    seventh, eighth = pods.add(), pods.add()
    pods.wait_settled()
    pods.check_whole(masters=4)
    assert all(0.9 * 4096 <= slots <= 1.1 * 4096 for slots in pods.masters().values()), pods.masters()
    assert pods.shared_machines() == []
    watch.check()
    threads = [threading.Thread(target=pod.terminate) for pod in (seventh, eighth)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seventh.server is None and eighth.server is None
    pods.wait_settled()
    pods.check_whole(masters=3)
    watch.check()
    del pods.pods[6:]


@pytest.mark.soak
def test_pods_that_leave_while_slots_are_moved_to_them_lose_none(pods, watch):
    seventh, eighth = pods.add(), pods.add()
    wait_until(lambda: {seventh, eighth} & set(pods.masters()), "the first slots have been moved", 30)
    threads = [threading.Thread(target=pod.terminate) for pod in (seventh, eighth)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pods.wait_settled()
    pods.check_whole(masters=3)
    watch.check()
    del pods.pods[6:]


@pytest.mark.soak
@pytest.mark.parametrize("both", [True, False], ids=["with-its-replica", "alone"])
def test_slots_of_a_pod_that_left_without_handing_them_over_are_served_again(both):
    """Its time was over, or its machine lost power, when it had begun to leave."""
    with Pods(8, forget_s=15) as pods:
        pods.wait_settled()
        # nobody takes its slots away
        for pod in pods.pods:
            os.killpg(pod.sidecar.pid, signal.SIGSTOP)
        # one of the two beyond the first six is a master, the other one its replica
        leaving, other = sorted(pods.pods[6:], key=lambda pod: pod not in pods.masters())
        if leaving not in pods.masters():
            leaving.command("CLUSTER", "FAILOVER")
            wait_until(lambda: leaving in pods.masters(), "it is a master")
        if other not in pods.masters():
            other.command("CLUSTER", "REPLICATE", leaving.id())
            wait_until(lambda: other.script("ready").returncode == 0, "the other one follows")
        leaving.command("CONFIG", "SET", "cluster-announce-hostname", f"leaving.{leaving.name}.worker-0")
        wait_until(lambda: all(b"leaving" in pod.command("CLUSTER", "NODES") for pod in pods.pods), "all know that it leaves")
        for pod in [leaving, other] if both else [leaving]:
            pod.kill()
        for pod in pods.running():
            os.killpg(pod.sidecar.pid, signal.SIGCONT)
        pods.pods = pods.running()
        wait_until(lambda: len(pods.nodes()) == len(pods.pods), "who has left is forgotten", 30)
        pods.wait_settled()
        pods.check_whole(masters=3)


@pytest.mark.soak
def test_an_odd_pod_is_a_spare_replica_that_is_used_when_another_one_comes():
    with Pods(7, forget_s=2) as pods:
        pods.wait_settled()
        pods.check_whole(masters=3)
        pods.add()
        pods.wait_settled()
        pods.check_whole(masters=4)
        # gone without a word, and for good: be they a master and its replica, their slots are given to others
        for pod in (pods.pods.pop(), pods.pods.pop()):
            pod.kill()
        wait_until(lambda: len(pods.nodes()) == 6, "they are forgotten", 30)
        pods.wait_settled()
        pods.check_whole(masters=3)


def views(masters, replicas, late):
    """CLUSTER NODES of all pods but redis-2, which has just died, in the words of `look`; `late` has not heard of its slots."""
    lines = []
    for viewer in (0, 1, 3, 4, 5):
        for pod in range(6):
            is_dead, flags = pod == 2, "myself," if pod == viewer else ""
            role = f"{flags}slave {replicas[pod]}" if pod in replicas else f"{flags}master{',fail' if is_dead and viewer == 0 else ''} -"
            epoch, slots = (2, "") if is_dead and viewer == late else (3 + (pod == 2), masters.get(pod, ""))
            lines.append(f"redis-{viewer} id{pod} 10.0.0.{pod}:6379@16379,redis-{pod}.worker-{pod % 3} {role} 0 1000 {epoch} connected {slots}")
        if viewer in replicas:
            lines.append(f"redis-{viewer} master_host:10.0.0.{replicas[viewer][2:]}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("awk", [("awk",), ("busybox", "awk")], ids=" ".join)
@pytest.mark.parametrize("late", [None, 0, 1, 3, 4, 5])
def test_a_replica_stays_with_a_master_that_died_before_everybody_had_heard_of_its_slots(awk, late):
    text = views({0: "0-5460", 1: "5461-10921", 2: "10922-16383"}, {3: "id2", 4: "id0", 5: "id1"}, late)
    plan = subprocess.run([*awk, "-v", "prefix=redis-", "-v", "size=6", "-v", "now=2", "-v", "forget_s=600", "-v", "takeover_s=8",
                           "-v", "step=256", "-f", redis_pods.REDIS / "plan.awk"], input=text, capture_output=True, text=True)
    assert (plan.returncode, plan.stderr) == (0, "")
    assert plan.stdout == ""


@pytest.mark.parametrize("known", ["by-all", "by-one"])
def test_a_master_that_dies_right_after_the_beginning_is_replaced(known):
    """
    The replicas may not have synced yet: with the pod ready or not, the slots are served again.  But where a master dies
    within the milliseconds in which nobody but the first pod has heard which slots are its, its replica does not know that
    there is something to replace: then they are served when its pod is back.
    """
    with Pods() as pods:
        viewers = pods.pods if known == "by-all" else pods.pods[:1]
        wait_until(lambda: all(sum(n[6] for n in pods.nodes(pod)) == 16384 for pod in viewers), "slots are given")
        master = by_role(pods, True)
        master.kill()
        if known == "by-all":
            wait_until(lambda: sum(pods.masters().values()) == 16384 and master not in pods.masters(), "another one takes over", 15)
        master.start(new_ip=True)
        pods.wait_settled()
        pods.check_whole(masters=3)


@pytest.mark.soak
def test_six_pods_on_one_machine_are_a_cluster_all_the_same():
    with Pods(machines=1) as pods:
        pods.wait_settled()
        pods.check_whole(masters=3)


def test_a_password_that_would_break_the_url_is_refused_with_its_name():
    with Pods(1, start=False) as pods:
        pod = pods.pods[0]
        pod.ip = pods.next_ip()
        for name, value in (("PUSH_PASSWORD", "a@b"), ("REDISCLI_AUTH", ""), ("REDISCLI_AUTH", 'x"\nbind 0.0.0.0')):
            run = subprocess.run(pod._command("start"), env={**pod._env("start"), name: value}, capture_output=True, text=True,
                                 timeout=10)
            assert run.returncode == 1 and name in run.stderr and (not value or value not in run.stderr), run
