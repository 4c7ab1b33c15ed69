#!/usr/bin/env bash
# git 2.39.5 (Debian 12; 2.47.3 and 2.55.0 do the same). Needs apt-get and dpkg-deb.
#
# Question: `git format-patch --base` names the patches that a series needs in "prerequisite-patch-id" lines. Are these the ids that
#   `git patch-id --stable` computes from the mails of those patches, as the manual says?
# Guess: yes; the receiver looks patches up by them.
# What happens: not for all. git patch-id takes a mail's lines "similarity index", "rename from" and "rename to" into the id,
#   format-patch does not: a patch that renames a file has two ids. So has one that only changes a mode, or adds an empty or a
#   binary file. A reader of the mails cannot find these patches by their prerequisite ids.
# Seen: edit, new file, new program, deletion: same; rename, mode, empty file, binary file: another; rename without those lines: same
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
seq 30 >file
seq 5 >other
git add .
git commit -q -m base
git tag base
commit() {
	git add -A
	git commit -q -m "$1"
}
echo 31 >>file && commit edit
seq 3 >new && commit new-file
echo '#!/bin/sh' >program && chmod +x program && commit new-program
git rm -q new && commit deletion
git mv file renamed && echo 32 >>renamed && commit rename
chmod +x other && commit mode
true >empty && commit empty-file
printf 'a\0b' >binary && commit binary-file
echo 6 >>other && commit "the series that needs all these"

git format-patch -q -1 --base=base -o ../series
grep '^prerequisite-patch-id: ' ../series/*.patch | cut -d' ' -f2 >../prerequisites
[ "$(wc -l <../prerequisites)" -eq 8 ] || die "wanted were 8 prerequisites"

git format-patch -q -o ../mails base..HEAD~1
for mail in ../mails/*.patch; do
	id=$(git patch-id --stable <"$mail" | cut -d' ' -f1)
	name=$(basename "$mail" .patch)
	if grep -qxF "$id" ../prerequisites; then echo "${name#*-}: same"; else echo "${name#*-}: another"; fi
done | tee ../found
printf '%s\n' 'edit: same' 'new-file: same' 'new-program: same' 'deletion: same' \
	'rename: another' 'mode: another' 'empty-file: another' 'binary-file: another' >../wanted
cmp -s ../wanted ../found || die "not as described any more"

id=$(grep -v -e '^similarity ' -e '^rename ' ../mails/*-rename.patch | git patch-id --stable | cut -d' ' -f1)
grep -qxF "$id" ../prerequisites || die "not as described any more"
echo "rename, without the mail's similarity and rename lines: same"
echo "As described: four of eight prerequisites are named by ids that their mails do not have."
