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
	local name
	for name in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || printf '%s\n' "$name"
	done
}

# need_packages NAME... - install what is missing; end with an error that names what cannot be had.
need_packages() {
	local missing name
	command -v dpkg-query >/dev/null ||
		die "this is no Debian: dpkg-query is missing" "install what the README lists by hand"
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "installing from Debian:" $missing
	# an old or empty package list is the usual reason why a package cannot be had
	apt_install $missing || { as_root apt-get update -qq >&2 && apt_install $missing; } || {
		for name in $(missing_packages $missing); do
			apt-cache show "$name" >/dev/null 2>&1 || die "Debian package '$name' is not to be had here" \
				"check the machine's package sources (apt-cache policy $name)"
		done
		die "apt could not install: $(missing_packages $missing | tr '\n' ' ')" "apt's own words are above"
	}
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
		</dev/null >/dev/null
}
