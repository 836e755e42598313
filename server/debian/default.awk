# default.awk - /etc/default/push out of `pushd --help`: each option with its default, commented out.
BEGIN {
	print "# Environment of push.service and of all push@NAME.service; `systemctl restart push` makes it count."
	print "# What is set here counts for more than the same in /etc/push/conf.d.  The defaults:"
	print "\n# ports of the clients and of the operators\n#SERVER_PORT=8080\n#MANAGEMENT_SERVER_PORT=8000"
	print "\n# processes on the same ports; nothing: with Redis one for each CPU, else 1\n#PUSH_WORKERS="
}

# Columns as main.c's print_help() has them: name, default (which may be empty), and from the next word on its meaning.
/^  PUSH_[A-Z0-9_]+ / {
	rest = substr($0, 46)
	default_value = rest ~ /^ / ? "" : rest
	sub(/ .*/, "", default_value)
	sub(/^[^ ]* +/, "", rest)
	printf "\n# %s\n#%s=%s\n", rest, $1, default_value
}
