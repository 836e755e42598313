#!/bin/sh
# cluster.sh - what a pod of the StatefulSet does beside redis-server, so that the pods are one Redis cluster, always.
#
#   start   run redis-server with what only the pod knows: its address, its name, the passwords   (the container)
#   keep    look at all pods every two seconds and mend what is not as it should be               (the sidecar)
#   ready   exit 0 if this pod takes part in a cluster that is well                               (readiness probe)
#   alive   exit 0 if redis-server answers at all                                                 (liveness probe)
#   leave   hand over what this pod has, then return                                              (preStop)
#   plan    say what keep would do now, and do nothing                                            (for people)
#
# There is no step "create the cluster" that may run once: keep compares what is with what should be, over and over, and
# a cluster that was never made is only the longest way between the two.  plan.awk decides; it is given the CLUSTER NODES
# of each pod and prints commands, which are carried out here.  Of all pods only the one with the lowest number that
# answers acts.  Two that take themselves for it, cut off from each other, do no harm: each command may be repeated, and
# none that takes something away from a node is given unless the node's pod itself is seen to live under a new id.
#
# A node's announced host name is POD.MACHINE (redis-3.worker-7), or leaving.POD.MACHINE: it is the only word of ours that
# Redis passes on to all nodes and keeps of a dead one.  By it a pod that comes back with an empty disk is known to be the
# successor of an id that will never answer again, and a replica is put on another machine than its master.  Clients are
# told addresses (cluster-preferred-endpoint-type ip); nobody resolves these names.
#
# For dash and for busybox' ash; needs redis-cli (or valkey-cli), awk, timeout, sleep, date.
set -eu

: "${POD_NAME:?}" "${POD_IP:?}"
here=${0%/*}
port=${REDIS_PORT:-6379}
bus=${REDIS_BUS_PORT:-$((port + 10000))}
size=${REDIS_SIZE:-6}          # pods that the cluster is made of; those with higher numbers may come and go
machine=${NODE_NAME:-unknown}
service=${REDIS_SERVICE:-redis-nodes}
run=${REDIS_RUN:-/run/redis}
prefix=${POD_NAME%-*}
number=${POD_NAME##*-}
answer_s=2                     # a pod that is silent for so long is taken for gone in this round

say() { echo "$POD_NAME: $*"; }
die() {
    echo "$POD_NAME: $*" >&2
    exit 1
}

# program NAME - redis-NAME, or Valkey's
program() { command -v "redis-$1" || command -v "valkey-$1" || die "neither redis-$1 nor valkey-$1 in PATH"; }

# ask HOST COMMAND... - the password comes from REDISCLI_AUTH, so that no list of processes shows it
ask() {
    ask_host=$1
    shift
    timeout "$answer_s" "$cli" -h "$ask_host" -p "$port" "$@" 2>/dev/null
}

here_ask() { ask "$POD_IP" "$@"; }

host_of() { echo "$prefix-$1.$service"; }

# fields NAME - its value in an INFO on the input
field() { tr -d '\r' | sed -n "s/^$1://p"; }

# myself - the line of CLUSTER NODES of this pod
myself() { here_ask CLUSTER NODES | grep myself; }

has_slots() { [ "$(echo "$1" | wc -w)" -gt 8 ]; }

check_password() {
    case $2 in
    '') die "$1 is empty: the Secret lacks it" ;;
    *[!A-Za-z0-9_-]*) die "$1: only letters, digits, - and _ (it stands in a URL and in redis.conf); make one with: openssl rand -hex 24" ;;
    esac
}

start() {
    check_password REDISCLI_AUTH "${REDISCLI_AUTH:-}"
    check_password PUSH_PASSWORD "${PUSH_PASSWORD:-}"
    umask 077
    mkdir -p "$run"
    # what a user of Push needs is in docs/redis.md, "Rights"
    cat >"$run/redis.conf" <<END
include ${REDIS_CONF:-/etc/redis/redis.conf}
port $port
cluster-port $bus
bind $POD_IP ${REDIS_BIND_ALSO-127.0.0.1}
dir ${REDIS_DATA:-/data}
cluster-announce-ip $POD_IP
replica-announce-ip $POD_IP
cluster-announce-hostname $POD_NAME.$machine
requirepass $REDISCLI_AUTH
masterauth $REDISCLI_AUTH
user push on >$PUSH_PASSWORD &* ~push:* +publish +subscribe +unsubscribe +ping +hset +hget +hdel +hgetall +expire +get +set +del +evalsha +script|load +info +role +time +hmget +xadd +xlen +xrange +xrevrange +pexpire +zadd +zcard +zpopmin +zrevrange +zremrangebyscore +zremrangebyrank +cluster|slots +spublish +ssubscribe +sunsubscribe
END
    exec "$(program server)" "$run/redis.conf"
}

# highest - the highest number among the pods that the last round knew of
highest() {
    cat "$run"/views/* 2>/dev/null | awk -v prefix="$prefix-" '
        { sub(/.*,/, "", $3); sub(/^leaving\./, "", $3); sub(/\..*/, "", $3); n = substr($3, length(prefix) + 1) + 0 }
        index($3, prefix) == 1 && n > max { max = n }
        END { print max + 0 }'
}

# look - the views of all pods that answer, a file each: CLUSTER NODES, and INFO replication.  A pod's number is at most two above those that are known:
# how far the StatefulSet is scaled cannot be asked without a token for the API.
look() {
    last=$(highest)
    [ "$last" -ge $((size - 1)) ] || last=$((size - 1))
    [ "$last" -ge "$number" ] || last=$number
    rm -rf "$run/views" && mkdir -p "$run/views"
    i=0
    while [ "$i" -le $((last + 2)) ]; do
        if [ "$i" = "$number" ]; then host=$POD_IP; else host=$(host_of "$i"); fi
        {
            view=$(printf 'CLUSTER NODES\nINFO replication\n' | ask "$host" | tr -d '\r') || view=
            case $view in *myself*) echo "$view" | sed "s/^/$prefix-$i /" >"$run/views/$i" ;; esac
        } &
        i=$((i + 1))
    done
    wait
}

# decide - the plan for what look has seen
decide() {
    cat "$run"/views/* 2>/dev/null |
        awk -v prefix="$prefix-" -v size="$size" -v now="$(date +%s)" -v forget_s="${REDIS_FORGET_S:-600}" -v takeover_s="${REDIS_TAKEOVER_S:-8}" \
            -v step="${REDIS_MOVE_STEP:-256}" \
            -f "$here/plan.awk"
}

# address POD - of one that look has seen
address() { sed -n "s/^[^ ]* [^ ]* \([^ ]*\):[0-9]*@[^ ]* [^ ]*myself.*/\1/p" "$run/views/${1##*-}"; }

# move_slots FROM TO COUNT - redis-cli refuses, and a later round tries again, where the nodes do not agree
move_slots() {
    timeout 120 "$cli" --cluster reshard "$POD_IP:$port" --cluster-from "$1" --cluster-to "$2" --cluster-slots "$3" \
        --cluster-yes --cluster-pipeline 100 >"$run/move.log" 2>&1 || {
        say "slots could not be moved: $(tail -n 1 "$run/move.log")"
        pause=5
    }
}

# carry_out POD VERB ARGUMENT... - a line of the plan
carry_out() {
    pod=$1 verb=$2
    shift 2
    case $verb in
    wait) return 0 ;;
    move)
        say "$pod: $3 slots of ${1%"${1#????????}"} go to ${2%"${2#????????}"}"
        move_slots "$@"
        return 0
        ;;
    fix)
        # while slots move, each is open for a moment; one that still is two seconds later was left so
        [ "$*" = "$open_slot" ] || {
            open_slot=$*
            pause=2
            return 0
        }
        say "a slot's move was interrupted: mends it"
        timeout 300 "$cli" --cluster fix "$POD_IP:$port" >"$run/move.log" 2>&1 || true
        return 0
        ;;
    esac
    host=$(address "$pod")
    case $verb in
    meet) answer=$(ask "$host" CLUSTER MEET "$1" "$port" "$bus") ;;
    forget) answer=$(ask "$host" CLUSTER FORGET "$1") ;;
    replicate) answer=$(ask "$host" CLUSTER REPLICATE "$1") ;;
    takeover) answer=$(ask "$host" CLUSTER FAILOVER TAKEOVER) ;;
    reset) answer=$(ask "$host" CLUSTER RESET SOFT) ;;
    epoch) answer=$(ask "$host" CLUSTER SET-CONFIG-EPOCH "$1") ;;
    begin) answer=$(ask "$host" CLUSTER ADDSLOTSRANGE "$@") ;;
    # the epoch makes who has the slots now win over a node that had them once, and comes back
    slots) answer=$(ask "$host" CLUSTER ADDSLOTSRANGE "$@" && ask "$host" CLUSTER BUMPEPOCH) ;;
    *) die "plan.awk said: $pod $verb $*" ;;
    esac || answer="no answer"
    say "$pod: $verb $*: $(echo "$answer" | tail -n 1)"
}

is_first() {
    i=0
    while [ "$i" -lt "$number" ]; do
        case $(ask "$(host_of "$i")" PING) in PONG) return 1 ;; esac
        i=$((i + 1))
    done
    return 0
}

keep() {
    say "looks after the cluster of $prefix-0 to $prefix-$((size - 1)), and of more where there are"
    trap 'exit 0' TERM INT
    open_slot=
    while :; do
        pause=2
        if is_first; then
            look
            decide >"$run/plan"
            while read -r line; do
                pause=0.2
                # shellcheck disable=SC2086  # words
                carry_out $line </dev/null
            done <"$run/plan"
        fi
        sleep "$pause" &
        wait $!
    done
}

ready() {
    here_ask CLUSTER INFO | grep -q '^cluster_state:ok' || die "the cluster is not well, or this pod not in it"
    line=$(myself)
    case $line in
    *,leaving.*) die "it is leaving" ;;
    *myself,slave*)
        # a replica that has not synced once cannot take over with the data
        [ "$(here_ask INFO replication | field master_link_status)" = up ] || die "it has not caught up with its master"
        ;;
    *) has_slots "$line" || die "it has no slots and no master yet" ;;
    esac
}

alive() {
    # any answer: one that loads its data, or whose cluster is down, is not mended by a restart
    [ -n "$(here_ask PING)" ] || die "no answer to PING"
}

# hand_over - a replica that has all becomes master; costs clients a redirection instead of an election
hand_over() {
    me=${1%% *}
    here_ask CLUSTER NODES | grep slave | grep -v fail | grep "$me" | while read -r _ node _; do
        say "hands over to ${node##*,}"
        ask "${node%%:*}" CLUSTER FAILOVER >/dev/null || continue
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            case $(myself) in
            *myself,slave*)
                # a publish that comes here now is told where to go; one that was under way when this ends would not be
                sleep "${REDIS_LINGER_S:-2}"
                return 0
                ;;
            esac
            sleep 0.2
        done
    done
}

leave() {
    line=$(myself) || return 0
    if [ "$number" -lt "$size" ]; then
        # it will be back: after an update, or on another machine
        if has_slots "$line"; then hand_over "$line"; fi
        return 0
    fi
    # It may be for good, nobody can tell; the first pod takes its slots away and has all others forget it.
    say "leaves the cluster"
    here_ask CONFIG SET cluster-announce-hostname "leaving.$POD_NAME.$machine" >/dev/null
    end=$(($(date +%s) + ${REDIS_LEAVE_S:-240}))
    while [ "$(date +%s)" -lt "$end" ]; do
        line=$(myself) || return 0
        if ! has_slots "$line" && ! ask "$(host_of 0)" CLUSTER NODES | grep -q "^${line%% *}"; then
            # before somebody invites it again
            here_ask SHUTDOWN NOSAVE || true
            return 0
        fi
        sleep 0.5
    done
    say "was not let go; a replica takes over"
    hand_over "$line"
}

cli=$(program cli)
mkdir -p "$run"
case ${1:-} in
start | keep | ready | alive | leave) "$1" ;;
plan)
    # the sidecar has views of its own; the root is read-only
    run=$(mktemp -d "$run/plan.XXXXXX")
    look
    decide
    rm -r "$run"
    ;;
*) die "usage: cluster.sh start|keep|ready|alive|leave|plan" ;;
esac
