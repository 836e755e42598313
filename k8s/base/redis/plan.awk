# plan.awk - what has to be done so that the pods are one Redis cluster, with each slot served and each master followed.
#
# Input: CLUSTER NODES and INFO replication of every pod that answers, the pod's name in front of each line.  Output: commands for
# cluster.sh, "POD VERB ARGUMENTS"; none, if all is well.  One stage at a time, in this order; the next is planned when
# the one before has taken effect, so that no stage has to reckon with another's half-done work:
#
#   epoch      pods of a cluster that is not there yet get different ones, as redis-cli gives them: masters of the same epoch
#              change theirs when they hear of each other, and the replica of one that dies before it has heard of
#              that is never elected
#   meet       every pod knows every other by its present address (new pods, new addresses, all of them at once)
#   takeover   of a master whose pod lives under another id (an empty disk), or is gone with slots that it was to hand over,
#              the replica becomes master, also where the masters cannot vote: nobody else can be serving under that id
#              any more
#   forget     the ids that will not come back: succeeded, left, or a pod beyond `size` that is long gone; slots
#              that went with all who had them are given up
#   fix        a slot's move that was interrupted
#   roles      pods without a role: as many masters as there are pairs, three at least; the others follow whoever has
#              the fewest replicas, on another machine where there is one; of two replicas one goes to a master without any
#   links      replicas that ask their master at an address of yesterday
#   slots      slots that nobody has, to the masters without any, or with the fewest
#   balance    slots to new masters, from leaving ones and from too many; a spare replica becomes a master where
#              there are too few
#   machines   two replicas change places so that neither shares a machine with its master
#
# A node that is down counts as what it was, since it will be back; so nothing is moved when pods only restart.
#
# Variables: prefix ("redis-"), size (pods of the first cluster), now, forget_s and takeover_s (how long a
# node is silent until it is forgotten, and until nobody expects an election any more), step (slots of a move).

function number_of(name) { return substr(name, length(prefix) + 1) + 0 }

# plan() returns and exit follows where a stage has said something
function order(text) { print text; ordered++ }

function slots_in(from,    i, n, part) {
    n = 0
    for (i = from; i <= NF; i++) {
        if ($i ~ /^\[/)
            open_slot = $i
        else
            n += split($i, part, "-") == 2 ? part[2] - part[1] + 1 : 1
    }
    return n
}

function note_slots(id, from,    i, j, part) {
    for (i = from; i <= NF; i++) {
        if ($i ~ /^\[/)
            continue
        if (split($i, part, "-") == 1)
            part[2] = part[1]
        for (j = part[1] + 0; j <= part[2] + 0; j++)
            owner[j] = id
    }
}

$2 ~ /^master_host:/ { follows_ip[$1] = substr($2, 13) }

NF < 9 { next }

{
    pod = $1; id = $2
    address = $3; sub(/:[0-9]+@.*/, "", address)
    name = $3
    if (name !~ /,/) name = ""
    sub(/^[^,]*,/, "", name); sub(/,.*/, "", name)
    flags = "," $4 ","
    count = slots_in(10)
    seen_in[pod, id] = address
    if (flags ~ /,noaddr,/ || flags ~ /,handshake,/) seen_in[pod, id] = ""
    if (flags ~ /,handshake,/) { shaking[pod, address] = 1; next }
    assigned[pod] += count
    if (!(pod in entries)) pods[++pod_count] = pod
    entries[pod]++
    # what a node says of itself counts for more than what others say
    is_myself = flags ~ /,myself,/
    if (is_myself) { own_epoch[pod] = $8; self[pod] = id; pod_ip[pod] = address; live[id] = pod }
    if (!(id in role)) ids[++id_count] = id
    # of who does not answer, the newest that is known: a view may be from before it had its slots
    is_newest = $8 > epoch[id] || ($8 == epoch[id] && count >= slots[id])
    if (is_myself || (!(id in live) && is_newest)) {
        epoch[id] = $8
        role[id] = flags ~ /,slave,/ ? "slave" : "master"
        master_of[id] = $5
        slots[id] = count
        # a node that was met a moment ago is not named yet in the views of others
        if (name != "") announced[id] = name
        note_slots(id, 10)
    }
    if (flags ~ /,fail,/ || flags ~ /,noaddr,/) dead_votes[id]++
    if (flags ~ /,fail\?,/) doubt[id] = 1
    if ($7 > heard[id]) heard[id] = $7
}

END { plan() }

function names(    i, id, name) {
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        name = announced[id]
        if (sub(/^leaving\./, "", name)) leaving[id] = 1
        pod_of[id] = name; sub(/\..*/, "", pod_of[id])
        if (id in live) pod_of[id] = live[id]
        machine_of[id] = name; sub(/^[^.]*\.?/, "", machine_of[id])
        if (machine_of[id] == "unknown") machine_of[id] = ""
    }
}

function silent_s(id) { return heard[id] ? now - int(heard[id] / 1000) : 1000000 }

function is_followed(id,    i) {
    for (i = 1; i <= id_count; i++)
        if ((ids[i] in live) && role[ids[i]] == "slave" && master_of[ids[i]] == id) return 1
    return 0
}

# Known by what it was, it is not there now.
function sort_ids(    i, id, at, moved, is_hearsay) {
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        is_down[id] = !(id in live)
        # its pod answers under another id
        succeeded[id] = is_down[id] && pod_of[id] != "" && (pod_of[id] in self)
        # Nobody knows its name: whoever knows it has it from others, who have forgotten it meanwhile.  Should its pod be
        # back one day, it is met again.
        is_hearsay = is_down[id] && pod_of[id] == "" && !slots[id] && silent_s(id) > takeover_s
        is_stale[id] = succeeded[id] || leaving[id] || is_hearsay || \
            (is_down[id] && dead_votes[id] && number_of(pod_of[id]) >= size && silent_s(id) > forget_s && \
            !(slots[id] && is_followed(id)))
    }
    for (i = 2; i <= id_count; i++) {
        moved = ids[i]
        for (at = i; at > 1 && number_of(pod_of[ids[at - 1]]) > number_of(pod_of[moved]); at--)
            ids[at] = ids[at - 1]
        ids[at] = moved
    }
}

# Redis takes it from a node that knows nobody.
function plan_epochs(    i, p) {
    for (i = 1; i <= id_count; i++)
        if (slots[ids[i]]) return
    for (i = 1; i <= pod_count; i++) {
        p = pods[i]
        if (entries[p] == 1 && !own_epoch[p]) order(p " epoch " number_of(p) + 1)
    }
}

function plan_meet(    i, j, p, q) {
    for (i = 1; i <= pod_count; i++)
        for (j = 1; j <= pod_count; j++) {
            p = pods[i]; q = pods[j]
            if (p == q || leaving[self[p]] || leaving[self[q]]) continue
            if (seen_in[p, self[q]] == pod_ip[q]) continue
            # one of two is enough
            if (j < i && seen_in[q, self[p]] != pod_ip[p]) continue
            order(p ((p, pod_ip[q]) in shaking ? " wait" : " meet " pod_ip[q]))
        }
}

function plan_takeover(    i, j, old, id) {
    for (i = 1; i <= id_count; i++) {
        old = ids[i]
        if (!(succeeded[old] || (leaving[old] && is_down[old])) || !slots[old]) continue
        for (j = 1; j <= id_count; j++) {
            id = ids[j]
            if (is_down[id] || leaving[id] || role[id] != "slave" || master_of[id] != old) continue
            # an election comes first, if there is going to be one
            order(pod_of[id] (silent_s(old) > takeover_s ? " takeover" : " wait"))
            break
        }
    }
}

# It has slots to give away; or it follows one who has, and goes after him: should he die meanwhile it has what he had.
function hands_over(id,    m) {
    if (!leaving[id]) return 0
    if (slots[id]) return !is_down[id] || silent_s(id) < takeover_s
    m = master_of[id]
    return role[id] == "slave" && leaving[m] && slots[m] && !is_down[m]
}

function plan_forget(    i, j, old) {
    for (i = 1; i <= id_count; i++) {
        old = ids[i]
        if (!is_stale[old] || hands_over(old)) continue
        for (j = 1; j <= pod_count; j++)
            # a replica cannot forget its master: it gets another one first
            if (self[pods[j]] != old && (pods[j], old) in seen_in && !leaving[self[pods[j]]]) {
                if (master_of[self[pods[j]]] != old) order(pods[j] " forget " old)
            }
    }
}

# Whom it should follow: with the fewest replicas, on another machine, of the lowest number.
function choose_master(id,    i, m, best, cost, best_cost) {
    for (i = 1; i <= id_count; i++) {
        m = ids[i]
        if (!is_target[m] || m == id) continue
        cost = followers[m] * 2 + (machine_of[m] != "" && machine_of[m] == machine_of[id])
        if (best == "" || cost < best_cost) { best = m; best_cost = cost }
    }
    return best
}

function shares(a, b) { return machine_of[a] != "" && machine_of[a] == machine_of[b] }

# Two replicas change masters where that leaves fewer beside their own; returns whether it was done.
function exchange(id,    i, other) {
    for (i = 1; i <= id_count; i++) {
        other = ids[i]
        if (other == id || !(other in follows) || shares(id, follows[other]) || shares(other, follows[id])) continue
        if (follows[other] == follows[id]) continue
        i = follows[id]; follows[id] = follows[other]; follows[other] = i
        return other
    }
    return ""
}

function count_roles(    i, id) {
    known = masters = empties = 0
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        if (is_stale[id]) continue
        known++
        if (role[id] == "slave") continue
        if (slots[id]) { masters++; is_target[id] = !is_down[id]; on_machine[machine_of[id]]++ }
        else if (!is_down[id]) empties++
    }
    target = int(known / 2)
    if (target < 3) target = 3
}

# Of the pods without a role, those become masters whose machine has the fewest.
function choose_empties(    want, i, id, best) {
    for (want = target - masters; want > 0; want--) {
        best = ""
        for (i = 1; i <= id_count; i++) {
            id = ids[i]
            if (is_stale[id] || is_down[id] || role[id] == "slave" || slots[id] || is_target[id]) continue
            if (best == "" || on_machine[machine_of[id]] < on_machine[machine_of[best]]) best = id
        }
        if (best == "") return
        is_target[best] = 1; keeps_empty++
        on_machine[machine_of[best]]++
    }
}

# A replica that learns its master's new address from others goes on asking the old one, for ever.
function plan_links(    i, pod, m) {
    for (i = 1; i <= pod_count; i++) {
        pod = pods[i]
        m = master_of[self[pod]]
        if (role[self[pod]] == "slave" && (m in live) && follows_ip[pod] != pod_ip[live[m]])
            order(pod " replicate " m)
    }
}

function plan_roles(    i, id, m) {
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        m = master_of[id]
        if (!is_stale[id] && role[id] == "slave" && (is_target[m] || (m in role && is_down[m] && !is_stale[m])))
            followers[m]++
    }
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        if (is_stale[id] || is_down[id] || is_target[id]) continue
        m = master_of[id]
        # follows a master, or one who will be back, or whose slots it is about to get
        if (role[id] == "slave" && (is_target[m] || (m in role && !succeeded[m] && slots[m] && (!leaving[m] || hands_over(m)))))
            continue
        m = choose_master(id)
        if (m == "") continue
        follows[id] = m; followers[m]++
    }
    for (i = 1; i <= id_count; i++)
        if (ids[i] in follows && shares(ids[i], follows[ids[i]])) exchange(ids[i])
    for (i = 1; i <= id_count; i++)
        if (ids[i] in follows) order(pod_of[ids[i]] " replicate " follows[ids[i]])
}

# One of two replicas goes to a master without any.  (Redis does so by itself only for masters that have had one.)
function plan_spare(    i, id, orphan, best, cost, best_cost) {
    for (i = 1; i <= id_count; i++)
        if (is_target[ids[i]] && slots[ids[i]] && !followers[ids[i]]) orphan = ids[i]
    if (orphan == "") return
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        if (role[id] != "slave" || is_stale[id] || is_down[id] || followers[master_of[id]] < 2) continue
        cost = shares(id, orphan) - followers[master_of[id]]
        if (best == "" || cost < best_cost) { best = id; best_cost = cost }
    }
    if (best != "") order(pod_of[best] " replicate " orphan)
}

function all_agree(    i) {
    for (i = 2; i <= pod_count; i++)
        if (assigned[pods[i]] != assigned[pods[1]]) return 0
    return 1
}

function all_up(    i) {
    for (i = 1; i <= id_count; i++)
        if (!is_stale[ids[i]] && (is_down[ids[i]] || doubt[ids[i]] || dead_votes[ids[i]])) return 0
    return 1
}

# Slots that nobody has: an equal share for each of those who are to get them.
function plan_slots(    i, id, takers, free, share, given, at, begin, list, taker) {
    for (i = 0; i < 16384; i++)
        if (!(i in owner) || (is_stale[owner[i]] && !hands_over(owner[i]))) free_slots[free++] = i
    if (!free) return
    # a cluster is begun with all that belong to it, lest two begin one each
    if (free == 16384 && pod_count < size) { order(pods[1] " wait"); return }
    if (!all_agree() || assigned[pods[1]] + free != 16384) { order(pods[1] " wait"); return }
    for (i = 1; i <= id_count; i++)
        if (is_target[ids[i]] && !slots[ids[i]]) taker[++takers] = ids[i]
    if (!takers) {
        for (i = 1; i <= id_count; i++)
            if (is_target[ids[i]] && (id == "" || slots[ids[i]] < slots[id])) id = ids[i]
        if (id == "") { order(pods[1] " wait"); return }
        taker[++takers] = id
    }
    at = 0
    for (i = 1; i <= takers; i++) {
        share = int(free * i / takers)
        for (list = ""; at < share; at++) {
            begin = free_slots[at]
            while (at + 1 < share && free_slots[at + 1] == free_slots[at] + 1) at++
            list = list " " begin " " free_slots[at]
        }
        if (list != "") order(pod_of[taker[i]] (free == 16384 ? " begin" : " slots") list)
    }
}

function fewest(    i, id, best) {
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        if (is_target[id] && (best == "" || slots[id] < slots[best])) best = id
    }
    return best
}

function most(    i, id, best) {
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        if (is_target[id] && (best == "" || slots[id] > slots[best])) best = id
    }
    return best
}

# Some slots at a time: what changes meanwhile, a pod that leaves above all, is seen within seconds.
function move(from, to, count) {
    if (count > step) count = step
    order(pod_of[from] " move " from " " to " " int(count > 1 ? count : 1))
}

function plan_balance(    i, id, spare, share, low, high) {
    for (i = 1; i <= id_count; i++)
        if (leaving[ids[i]] && slots[ids[i]] && !is_down[ids[i]]) { move(ids[i], fewest(), slots[ids[i]]); return }
    # too many: the one of the highest number without a replica, or of the highest number
    if (masters > target) {
        for (i = 1; i <= id_count; i++)
            if (is_target[ids[i]] && (id == "" || !followers[ids[i]] || followers[id])) id = ids[i]
        is_target[id] = 0
        move(id, fewest(), slots[id])
        return
    }
    if (!keeps_empty && masters < target) {
        for (i = 1; i <= id_count; i++)
            if (role[ids[i]] == "slave" && !is_stale[ids[i]] && followers[master_of[ids[i]]] > 1) spare = ids[i]
        if (spare != "") order(pod_of[spare] " reset")
        return
    }
    # to those without any, and where a tenth is too much or too little: lost slots went to one, a move was interrupted
    share = 16384 / (masters + keeps_empty)
    low = fewest(); high = most()
    if (slots[low] < 0.9 * share || slots[high] > 1.1 * share)
        move(high, low, slots[high] - share > share - slots[low] ? slots[high] - share : share - slots[low])
}

function plan_machines(    i, id, other) {
    for (i = 1; i <= id_count; i++)
        if (role[ids[i]] == "slave" && !is_stale[ids[i]]) follows[ids[i]] = master_of[ids[i]]
    for (i = 1; i <= id_count; i++) {
        id = ids[i]
        if (!(id in follows) || !shares(id, follows[id])) continue
        other = exchange(id)
        if (other == "") continue
        order(pod_of[id] " replicate " follows[id])
        order(pod_of[other] " replicate " follows[other])
        return
    }
}

function plan() {
    if (!pod_count) return
    names(); sort_ids()
    plan_epochs();    if (ordered) return
    plan_meet();      if (ordered) return
    plan_takeover();  if (ordered) return
    plan_forget();    if (ordered) return
    if (open_slot != "") { order(pods[1] " fix " open_slot); return }
    count_roles(); choose_empties()
    # of a cluster that is not there yet, roles are given when all are
    if (!masters && pod_count < size) { order(pods[1] " wait"); return }
    plan_roles();     if (ordered) return
    plan_links();     if (ordered) return
    plan_spare();     if (ordered) return
    plan_slots();     if (ordered) return
    if (!all_up() || !all_agree()) return
    plan_balance();   if (ordered) return
    plan_machines()
}
