#!/bin/sh
# Lints the chart and packages it into the folder $1, with the version of the file VERSION. Helm takes the times of the
# files into the archive, so these are set to that of the commit, or to SOURCE_DATE_EPOCH: two builds are the same.
set -eu
dist=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
root=../..
version=$(cat $root/VERSION)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r $root/deploy/chart "$copy/client-session-service"
find "$copy" -exec touch -d "@$epoch" {} +
go tool helm lint --strict --quiet --values testdata/defaults.yaml "$copy/client-session-service"
go tool helm package --version "$version" --app-version "$version" --destination "$dist" "$copy/client-session-service"
(cd "$dist" && sha256sum "client-session-service-$version.tgz")
