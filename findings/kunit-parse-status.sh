#!/usr/bin/env bash
# tools/testing/kunit of Linux 7.3.4 (Debian's linux-source-7.3 7.3.4-1~bpo13+1). Needs apt-get, dpkg-deb, xz and python3.
#
# Question: when is the status of `kunit.py parse` 0, so that a script can rely on it?
# Guess: when nothing failed: skipped tests are no failure, and errors, which it prints in red and counts, are one.
# What happens: the other way round. Results with wrong numbers, as after a lost or doubled line, are counted as "errors: 2", and the
#   status is 0. A log in which every test was skipped, by the rules, without an error, has status 1; one passed test beside the
#   skipped ones makes it 0. (By its source, `kunit.py run` takes the same log for a success.)
# Seen: results 1, 3, 2: passed: 3, errors: 2, status 0; two skipped: skipped: 2, status 1; one of two skipped: status 0
set -eu
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}
for tool in apt-get dpkg-deb xz python3; do
	command -v $tool >/dev/null || die "needs $tool, on Debian 12 or newer"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# fetch SUITE PACKAGE=VERSION...: into the current folder, with the machine's apt but a source list and a state of our own
fetch() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror apt
	mirror=$({
		# shellcheck disable=SC2016
		apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' || :
		apt-get -q --print-uris update | sed -n "s,^'\(.*/debian/\)dists/.*,\1," || :
	} 2>/dev/null | awk '/\/debian\/$/ && !/security/ && !seen++')
	if [ ! -f $keyring ] || [ -z "$mirror" ]; then die "apt knows no Debian mirror, or debian-archive-keyring is missing"; fi
	mkdir -p apt/lists/partial apt/archives/partial
	echo "deb [signed-by=$keyring] $mirror $1 main" >apt/sources.list
	apt=(-qq -o "Dir::Etc::SourceList=$PWD/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt" -o Dir::State::Status=/dev/null
		-o APT::Sandbox::User= -o Acquire::Languages=none -o Debug::NoLocking=1 -o APT::Update::Error-Mode=any)
	apt-get "${apt[@]}" update >apt/log 2>&1 || die "apt cannot read the package list of $1: $(tail -n 3 apt/log)"
	apt-get "${apt[@]}" download "${@:2}" >>apt/log 2>&1 || die "not to be had from $1: ${*:2}: $(tail -n 3 apt/log)"
}

fetch trixie-backports linux-source-7.3=7.3.4-1~bpo13+1
dpkg-deb --fsys-tarfile linux-source-7.3_*.deb | tar -xO ./usr/src/linux-source-7.3.tar.xz | tar -xJ linux-source-7.3/tools/testing/kunit
cd linux-source-7.3

# parse LINE...: what kunit.py makes of these lines: its last line and its status
parse() {
	status=0
	printf '%s\n' "$@" | PYTHONDONTWRITEBYTECODE=1 tools/testing/kunit/kunit.py parse >log || status=$?
	result="$(sed -n 's/.*Testing complete. //p' log), status $status"
}

parse 'KTAP version 1' 1..3 'ok 1 open' 'ok 3 poll' 'ok 2 map'
echo "results with wrong numbers: $result"
[ "$result" = 'Ran 3 tests: passed: 3, errors: 2, status 0' ] || die "not as described any more"
parse 'KTAP version 1' 1..2 'ok 1 open # SKIP no device' 'ok 2 map # SKIP no device'
echo "nothing but skipped tests:  $result"
[ "$result" = 'Ran 2 tests: skipped: 2, status 1' ] || die "not as described any more"
parse 'KTAP version 1' 1..2 'ok 1 open' 'ok 2 map # SKIP no device'
echo "one of them passes:         $result"
[ "$result" = 'Ran 2 tests: passed: 1, skipped: 1, status 0' ] || die "not as described any more"
echo "As described: errors leave the status at 0, skipped tests alone make it 1."
