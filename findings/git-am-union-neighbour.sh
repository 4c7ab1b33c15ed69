#!/usr/bin/env bash
# git 2.39.5 (Debian 12; 2.47.3 and 2.55.0 do the same). Needs apt-get and dpkg-deb.
#
# Question: a table such as a system call table has merge=union, so that patches which append to it can be taken one by one.
#   Three patches append one entry each. What is in the table after `git am -3` of the third alone?
# Guess: the base and the third entry. The patch adds that one line, and union keeps the lines of both sides.
# What happens: the table has all three entries and `git am` returns 0. For the 3-way merge git takes the blob that the patch was
#   made from as "theirs"; the entries of the patches that nobody applied stand in it, next to the new one, and union keeps them.
#   The commit has 3 insertions, the mail had 1. Without merge=union there is a conflict, which is what a maintainer needs to see.
# Seen: the mail adds 1 line; git am -3 returned 0; the commit adds 3 lines: 470 keys, 471 mounts, 472 blocks
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

git init -q author
cd author
printf '%s\n' '468 open' '469 setattr' >table
git add table
git commit -q -m base
git tag base
for entry in '470 keys' '471 mounts' '472 blocks'; do
	echo "$entry" >>table
	git commit -q -a -m "$entry"
done
git format-patch -q -1 -o ..

cd ..
git clone -q author maintainer
cd maintainer
git checkout -q base
without=0
git am -q -3 ../0001-*.patch >/dev/null 2>&1 || without=$?
git am --abort
mkdir -p .git/info
echo 'table merge=union' >.git/info/attributes
with=0
git am -q -3 ../0001-*.patch || with=$?
mailed=$(grep -c '^+[0-9]' ../0001-*.patch)
added=$(git diff base HEAD -- table | sed -n 's/^+\([0-9]\)/\1/p' | paste -sd, | sed 's/,/, /g')
echo "the mail adds $mailed line: $(sed -n 's/^+\([0-9]\)/\1/p' ../0001-*.patch)"
echo "git am -3 without merge=union returned $without; with it, $with"
echo "the commit made with merge=union adds: $added"
{ [ "$mailed" -eq 1 ] && [ $without -ne 0 ] && [ $with -eq 0 ] && [ "$added" = '470 keys, 471 mounts, 472 blocks' ]; } ||
	die "not as described any more"
echo "As described: the entries of two patches that were not applied came along."
