#!/bin/sh
# Prints the path of a program of Prometheus, promtool or prometheus: the one in PATH, or the one of Debian's package
# prometheus. The package is not installed, since that would start a server.
set -eu
tools=$(cd "$(dirname "$0")/../.." && pwd)/.tools/prometheus

if command -v "$1"; then
	exit
fi
if [ ! -x "$tools/$1" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "install $1 (the package prometheus on Debian): there is none in PATH" >&2
		exit 2
	fi
	echo "unpacking $1" >&2
	apt-get -qq update >&2
	download=$(mktemp -d)
	trap 'rm -rf "$download"' EXIT
	(cd "$download" && apt-get -qq -o APT::Sandbox::User=root download prometheus >&2)
	dpkg -x "$download"/prometheus_*.deb "$download"
	mkdir -p "$tools"
	mv "$download/usr/bin/promtool" "$download/usr/bin/prometheus" "$tools/"
fi
echo "$tools/$1"
