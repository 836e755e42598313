# lib.sh - what Push's scripts share: words for people, and Debian packages on demand.  Sourced by bash.

say() {
	printf '==> %s\n' "$*" >&2
}

# die WHAT [WHAT TO DO] - say why it cannot go on, and end.
die() {
	printf 'error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf '       %s\n' "$2" >&2
	exit 1
}

# need_writable FOLDER - end at once if nothing can be written there: what is built would be yesterday's.
need_writable() {
	local probe
	mkdir -p "$1" 2>/dev/null && probe=$(mktemp "$1/.write-XXXXXX" 2>/dev/null) && rm -f "$probe" && return 0
	die "cannot write to $1, the build folder" \
		"run it as the owner of the folder, or from your own clone: git clone $(dirname "$1") push"
}

# show_progress WORDS LOG - copy standard input to LOG; of ninja's steps, [12/345], show how far it is: on a terminal as
# one line that moves, elsewhere as a line for each quarter.  What cmake looks for before, `-- Looking for x`, takes as
# long, and is counted on a terminal.
show_progress() {
	local words=$1 line part shown=0 drawn= checks=0
	while IFS= read -r line || [ -n "$line" ]; do
		printf '%s\n' "$line"
		if [ -t 2 ] && [[ $line == '-- '* ]]; then
			checks=$((checks + 1))
			printf '\r==> %s: configuring, check %d\e[K' "$words" "$checks" >&2
			drawn=1
			continue
		fi
		# step 0 is a look at folders, also where nothing is to be built
		[[ $line =~ ^\[([1-9][0-9]*)/([0-9]+)\]\  ]] || continue
		if [ -t 2 ]; then
			printf '\r==> %s: step %d of %d\e[K' "$words" "${BASH_REMATCH[@]:1:2}" >&2
			drawn=1
			continue
		fi
		part=$((BASH_REMATCH[1] * 4 / BASH_REMATCH[2]))
		[ "$part" -gt "$shown" ] || continue
		shown=$part
		say "$words: step ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
	done >"$2" || return 1
	[ -z "$drawn" ] || printf '\n' >&2
}

# logged WORDS LOG COMMAND... - run it with its output in LOG, and show how far it is.  Its exit code is in $failed, since
# after `logged ... ||` bash would not heed -e in what is run.
logged() {
	local words=$1 log=$2 codes
	shift 2
	set +e
	(set -e; "$@") 2>&1 </dev/null | show_progress "$words" "$log"
	codes=("${PIPESTATUS[@]}")
	set -e
	failed=${codes[0]}
	[ "${codes[1]}" = 0 ] || failed=${codes[1]}
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -- "$@"
	else
		die "this needs root: $*" "run it as root, or install sudo"
	fi
}

# missing_packages NAME... - print those that are not installed.
missing_packages() {
	# one dpkg-query for all: this runs at every start
	{ dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true; } |
		awk -v wanted="$*" '
			$2 == "installed" { installed[$1] = 1 }
			END { n = split(wanted, names, " "); for (i = 1; i <= n; i++) if (!installed[names[i]]) print names[i] }'
}

# unknown_packages NAME... - print those that apt could not install, going by its lists.
unknown_packages() {
	local name
	for name in "$@"; do
		# words, not a pipe: with pipefail a grep that stops reading early would look like a failure
		case $(apt-cache policy "$name" 2>/dev/null) in
		*'Candidate: (none)'* | '') printf '%s\n' "$name" ;;
		esac
	done
}

# need_packages NAME... - install what is missing; end with an error that names what cannot be had.
need_packages() {
	local missing unknown
	command -v dpkg-query >/dev/null ||
		die "this is not Debian: dpkg-query is missing" "install the packages that server/deps lists by hand"
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "installing from Debian:" $missing
	# an old or empty package list is the usual reason why a package cannot be had
	if [ -n "$(unknown_packages $missing)" ] || ! apt_install $missing; then
		as_root apt-get update -qq >&2 </dev/null || true
		unknown=$(unknown_packages $missing)
		[ -z "$unknown" ] || die "Debian package not available: ${unknown//$'\n'/, }" \
			"check the machine's package sources: apt-cache policy ${unknown%%$'\n'*}"
		apt_install $missing || true
	fi
	missing=$(missing_packages $missing)
	[ -z "$missing" ] || die "apt could not install: ${missing//$'\n'/, }" "see the output of apt above"
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
		</dev/null >/dev/null
}
