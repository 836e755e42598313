# manual.awk - the manual page pushd.8 out of `pushd --help`; -v version=... -v day=...
BEGIN {
	printf ".TH PUSHD 8 %s \"push %s\" \"System Administration\"\n", day, version
	print ".SH NAME\npushd \\- run Push, a real\\-time push messaging server\n.SH DESCRIPTION\n.nf"
}

{
	gsub(/\\/, "\\e")
	gsub(/-/, "\\-")
	sub(/^[.']/, "\\\\\\&&")
	print
}

END {
	print ".fi\n.SH FILES"
	print ".TP\n.I /etc/push/conf, /etc/push/conf.d/\nwhat is served, and options of push\\-broker"
	print ".TP\n.I /etc/default/push\nenvironment of push.service and of all push@NAME.service"
	print ".TP\n.I /etc/push/NAME.env\nenvironment of push@NAME.service"
	print ".SH SEE ALSO\n.BR push (1),\n.I /usr/share/doc/push/README.md"
}
