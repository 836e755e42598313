#!/usr/bin/env bash
# init-cluster.sh - boot Push with its Redis cluster (k8s/cluster.yml) on minikube, kind, or wherever kubectl points.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
image=${PUSH_IMAGE:-push:latest}
context=

usage() {
	cat <<END
usage: k8s/init-cluster.sh [--context NAME] [--image NAME[:TAG]]

  --context   of kubectl (the current one)
  --image     of Push (push:latest, or PUSH_IMAGE); of minikube and kind it is loaded into the cluster, and built before
              if this machine's docker does not have it; elsewhere the cluster has to be able to pull it

Run it again to bring everything up to date: passwords that are there stay.
Remove all of it, the namespace and Redis' volumes included: kubectl delete -f k8s/cluster.yml
END
}

say() { printf '==> %s\n' "$*" >&2; }

die() {
	printf 'error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf '       %s\n' "$2" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	--context | --image)
		[ $# -ge 2 ] || die "$1 needs a value"
		declare "${1#--}=$2"
		shift
		;;
	--help | -h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

case $image in
*[!A-Za-z0-9._/:@-]*) die "--image $image: not a name of an image" ;;
esac
command -v kubectl >/dev/null || die "kubectl is missing" "https://kubernetes.io/docs/tasks/tools/"
[ -n "$context" ] || context=$(kubectl config current-context 2>/dev/null) ||
	die "kubectl has no current context" "start a cluster, for example: minikube start"

k() { kubectl --context "$context" "$@"; }
push() { k --namespace push "$@"; }

k get --raw /readyz >/dev/null || die "the cluster of context $context does not answer" "kubectl --context $context get nodes"

# provide_image - where the cluster runs on this machine's docker, bring the image there.
provide_image() {
	local load
	case $context in
	minikube | minikube-*) load="minikube --profile $context image load" ;;
	kind-*) load="kind load docker-image --name ${context#kind-}" ;;
	*)
		say "the cluster must already have the image $image, or be able to pull it"
		return 0
		;;
	esac
	command -v "${load%% *}" >/dev/null || die "context $context, but no ${load%% *} in PATH"
	command -v docker >/dev/null || die "docker is missing: it provides or builds the image $image"
	docker image inspect "$image" >/dev/null 2>&1 || {
		say "building the image $image"
		docker build --tag "$image" "$root"
	}
	say "loading the image $image into ${load%% *}"
	$load "$image"
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# secret KEY - what the cluster has, or a new one; what only cluster.yml knows is replaced
secret() {
	local value
	value=$(push get secret redis --output "jsonpath={.data.$1}" --ignore-not-found | base64 --decode)
	case $value in
	'' | for-trying-only) random ;;
	*) printf '%s' "$value" ;;
	esac
}

# manifests - cluster.yml with own passwords and the image
manifests() {
	local password push_password
	password=$(secret password)
	push_password=$(secret push-password)
	# on the input of kubectl only: no list of processes, no file shows them
	sed -e "s|^  password: Zm9yLXRyeWluZy1vbmx5\$|  password: $(printf '%s' "$password" | base64 --wrap 0)|" \
		-e "s|^  push-password: Zm9yLXRyeWluZy1vbmx5\$|  push-password: $(printf '%s' "$push_password" | base64 --wrap 0)|" \
		-e "s|^\( *image: \)push:latest\$|\1$image|" "$here/cluster.yml"
}

wait_for() {
	say "waiting for $1 ($2)"
	push rollout status "$1" --timeout "${3:-180s}" >&2 || {
		push get pods --output wide >&2
		push get events --field-selector type=Warning --sort-by .lastTimestamp >&2 | tail -n 10 || true
		die "$1 does not become ready" "kubectl -n push describe $1; kubectl -n push logs $1 --all-containers"
	}
}

started=$SECONDS
say "context $context, namespace push"
provide_image
say "applying k8s/cluster.yml"
manifests | k apply -f - >&2
wait_for statefulset/redis "six pods become a cluster by themselves"
wait_for deployment/push "Push"
say "Push is ready after $((SECONDS - started)) s"

cat <<END

Let this run in a terminal:

  kubectl --context $context -n push port-forward service/push 8080

subscribe in a second one, and publish in a third:

  curl -N 'http://localhost:8080/sse/messages?channels=qwerty'
  curl -H 'Content-Type: application/json' http://localhost:8080/messages -d '{"channel":"qwerty","message":"hello"}'

Health and metrics of one pod (the management port has its own Service):

  kubectl --context $context -n push port-forward service/push-management 8000
  curl http://localhost:8000/actuator/health

The cluster as Redis sees it (redis-3.worker-7: the pod, and its machine):

  kubectl --context $context -n push exec redis-0 -c redis -- redis-cli cluster nodes

Remove all of it: kubectl --context $context delete -f k8s/cluster.yml
END
