#!/usr/bin/env bash
# git 2.39.5 (Debian 12; 2.47.3 and 2.55.0 do the same). Needs apt-get and dpkg-deb.
#
# Question: quilt allows a comment behind a patch's name in `series`. Does `git quiltimport` read the same file?
# Guess: yes; its code skips what begins with #.
# What happens: it depends on the words. It reads three columns: name, level, rest, and skips a # at the start of a column.
#   "name #comment" and "name -p1 # a comment" are fine; "name # a comment" has the # in the second column and "a" in the third, so
#   git stops with "trailing garbage" and status 1, after it has committed the patches before. It leaves its rebase-apply behind:
#   the next run, with the file mended, fails in mkdir until somebody removes it.
# Seen: "#comment": 0, 2 patches; "-p1 # a comment": 0, 2 patches; "# a comment": 1, 1 patch; once more, mended: 2, 0 patches
set -eu
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}
for tool in apt-get dpkg-deb; do
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

fetch bookworm git=1:2.39.5-0+deb12u3
dpkg-deb -x git_*.deb git
export PATH=$PWD/git/usr/bin:$PATH GIT_EXEC_PATH=$PWD/git/usr/lib/git-core GIT_TEMPLATE_DIR='' GIT_CONFIG_GLOBAL=/dev/null
export GIT_CONFIG_NOSYSTEM=1 HOME=$PWD
export GIT_AUTHOR_NAME=Ann GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_NAME=Ann GIT_COMMITTER_EMAIL=ann@example.org

git init -q tree
cd tree
echo 1 >file
git add file
git commit -q -m base
git tag base
for line in 2 3; do
	echo $line >>file
	git commit -q -a -m "line $line"
done
git format-patch -q base -o ../patches

# import SUFFIX: with that behind the name of the second patch
import() {
	printf '%s\n' 0001-line-2.patch "0002-line-3.patch$1" >../patches/series
	git checkout -q -f -B trial base
	status=0
	git quiltimport --patches ../patches >../log 2>&1 || status=$?
	result="status $status, $(git rev-list --count base..) of 2 patches"
	echo "\"name$1\": $result"
}
import ' #comment'
[ "$result" = 'status 0, 2 of 2 patches' ] || die "not as described any more"
import ' -p1 # a comment'
[ "$result" = 'status 0, 2 of 2 patches' ] || die "not as described any more"
import ' # a comment'
{ [ "$result" = 'status 1, 1 of 2 patches' ] && grep -q 'trailing garbage' ../log; } || die "not as described any more"
import ''
{ [ "$status" -ne 0 ] && grep -q mkdir ../log; } || die "not as described any more"
rm -r .git/rebase-apply
import ''
[ "$result" = 'status 0, 2 of 2 patches' ] || die "not as described any more"
echo "As described: a comment of several words needs a level before it, and a failed run blocks the next one."
