#!/bin/sh
# Packs all that is released into dist/, beside the image and from the binaries that `make release` has built. Two runs
# on one commit write the same bytes: every time is that of the commit, and what makes a package is pinned.
set -eu
cd "$(dirname "$0")/../.."

version=$(cat VERSION)
for tag in $(git tag --list 'v*' --points-at HEAD); do
	if [ "$tag" != "v$version" ]; then
		echo "release: the tag of this commit is $tag, but VERSION is $version: tag it v$version, or correct VERSION" >&2
		exit 1
	fi
done
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C.UTF-8
umask 022

dist=$PWD/dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$dist" -mindepth 1 -maxdepth 1 ! -name image -exec rm -rf {} +

# pack FOLDER MEMBER writes a tar archive to stdout that says nothing about this machine.
pack() {
	tar --create --directory "$1" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --mode=u=rwX,go=rX \
		--owner=0 --group=0 --numeric-owner "$2"
}

echo "== binaries, image, bill of materials"
for platform in linux_amd64 linux_arm64 darwin_amd64 darwin_arm64; do
	pack "bin/$platform" client-session-service | gzip -9n >"$dist/client-session-service_${version}_$platform.tar.gz"
done
pack dist/image . >"$dist/client-session-service_${version}_image.tar"
# Of the binary, since that knows what it is linked from. Those of the other platforms have no module that it has not.
.tools/bin/cyclonedx-gomod bin -json -std -noserial -notimestamp -version "v$version" \
	-output "$dist/client-session-service_$version.cdx.json" bin/linux_amd64/client-session-service

echo "== chart"
sh tools/chart/package.sh "$dist"

# The packages of the stubs are made from copies of what is committed, which get the version that gen/ leaves open.
git ls-files -z gen/go gen/python gen/ts gen/java proto | xargs -0 cp --parents --target-directory "$work"

echo "== Go"
.tools/bin/goproxy "$work/gen/go" "v$version" "$work/proxy"
pack "$work/proxy" github.com | gzip -9n >"$dist/client-session-stubs-go-$version.tar.gz"

echo "== Python"
sed -i "s/^version = .*/version = \"$version\"/" "$work/gen/python/pyproject.toml"
.tools/python/bin/python -m build --no-isolation --outdir "$dist" "$work/gen/python" >"$work/log" || { cat "$work/log"; exit 1; }

echo "== npm"
(
	cd "$work/gen/ts"
	npm version --no-git-tag-version --loglevel=error "$version" >"$work/log"
	npm pack --loglevel=error --pack-destination "$dist"
)

echo "== Java"
sed -i "s/0\.0\.0-SNAPSHOT/$version/" "$work/gen/java/pom.xml"
mvn -B -q -f "$work/gen/java/pom.xml" package -Dproject.build.outputTimestamp="$SOURCE_DATE_EPOCH"
cp "$work/gen/java/target/client-session-stubs-$version.jar" "$work/gen/java/target/client-session-stubs-$version-sources.jar" "$dist"
cp "$work/gen/java/pom.xml" "$dist/client-session-stubs-$version.pom"

cd "$dist"
sha256sum -- *.* >SHA256SUMS
cat SHA256SUMS
if [ -n "$(git status --porcelain)" ]; then
	echo "release: not everything is committed, so this is no release: git status says what is not" >&2
fi
