#!/usr/bin/env bash
# tools/testing/kunit of Linux 7.3.4 (Debian's linux-source-7.3 7.3.4-1~bpo13+1). Needs apt-get, dpkg-deb, xz and python3.
#
# Question: a test program announces two results, "1..2", and then prints four; the third is "not ok". What does the kernel's own
#   parser, `kunit.py parse`, say?
# Guess: an error, or at least a failed test. With too few results it reports a crashed test for each that is missing.
# What happens: it reads as many results as the plan has and stops. The failed one is never looked at: all passed, status 0, not a
#   word about the lines left over. A program whose plan was not raised with its tests goes on to "pass". Concatenated logs of two
#   programs fare the same: only the first counts.
# Seen: plan of 2, a failure as third: Ran 2 tests: passed: 2, status 0; plan of 3: failed: 1, status 1; two logs: Ran 1 tests: passed: 1
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

parse 'KTAP version 1' 1..3 'ok 1 open' 'ok 2 map' 'not ok 3 poll'
echo "plan of 3, the third result is \"not ok\": $result"
[ "$result" = 'Ran 3 tests: passed: 2, failed: 1, status 1' ] || die "not as described any more"
parse 'KTAP version 1' 1..2 'ok 1 open' 'ok 2 map' 'not ok 3 poll' 'ok 4 close'
echo "plan of 2, the third result is \"not ok\": $result"
[ "$result" = 'Ran 2 tests: passed: 2, status 0' ] || die "not as described any more"
! grep -e ERROR -e poll log || die "not as described any more"
parse 'KTAP version 1' 1..1 'ok 1 open' 'KTAP version 1' 1..1 'not ok 1 map'
echo "two logs, the second's result is \"not ok\": $result"
[ "$result" = 'Ran 1 tests: passed: 1, status 0' ] || die "not as described any more"
echo "As described: a failure past the plan is passed over in silence."
