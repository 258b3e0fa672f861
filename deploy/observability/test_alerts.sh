#!/bin/sh
# Checks the alert rules and runs their cases with promtool: that in PATH, or that of Debian's package prometheus. The
# package is not installed, since that would start a server.
set -eu
cd "$(dirname "$0")"
tools=../../.tools/prometheus

promtool=$(command -v promtool || echo $tools/promtool)
if [ ! -x "$promtool" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "install promtool (the package prometheus on Debian): there is none in PATH" >&2
		exit 2
	fi
	echo "unpacking promtool"
	apt-get -qq update
	download=$(mktemp -d)
	trap 'rm -rf "$download"' EXIT
	(cd "$download" && apt-get -qq -o APT::Sandbox::User=root download prometheus)
	dpkg -x "$download"/prometheus_*.deb "$download"
	mkdir -p $tools
	mv "$download"/usr/bin/promtool $tools/
fi
"$promtool" check rules alerts.yaml
"$promtool" test rules alerts_test.yaml
