#!/usr/bin/env bash
# git 2.39.5 (Debian 12; 2.47.3 and 2.55.0 do the same). Needs apt-get and dpkg-deb.
#
# Question: a script writes two series with cover letters, one after the other, by `git format-patch --cover-letter --thread`. Both
#   are to go to the same list. Are their Message-IDs different?
# Guess: of course; that is what a Message-ID is for.
# What happens: the id of a cover letter is "cover", the time in whole seconds and the sender's address. Two series written within
#   one second have one and the same, so the archive files one cover letter as a copy of the other, and the patches of both series
#   answer it. An unchanged patch of a v2 made in the same second has the id of its v1 as well: it is in the ids, not in the subject.
# Seen: two series, two different cover letters, one Message-ID; 3 patches of 2 series answer it
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
for step in 1 2 3 4; do
	echo $step >>file
	git add file
	git commit -q -m "step $step"
done
ids() { sed -n 's/^Message-I[Dd]: //p' "$@"; }

# Two runs of a few milliseconds: at the second try at the latest they fall into one second.
for _ in 1 2 3 4 5; do
	before=$(date +%s)
	git format-patch -q --cover-letter --thread --subject-prefix='PATCH keys' -o ../keys HEAD~3..HEAD~1
	git format-patch -q --cover-letter --thread --subject-prefix='PATCH mounts' -o ../mounts HEAD~1
	git format-patch -q --cover-letter --thread --subject-prefix='PATCH mounts' -v2 -o ../mounts2 HEAD~1
	[ "$before" != "$(date +%s)" ] || break
done
[ "$before" = "$(date +%s)" ] || echo "the machine is slow: perhaps more than a second passed"
cover=$(ids ../keys/0000-*)
answers=$(grep -lF "In-Reply-To: $cover" ../keys/*.patch ../mounts/*.patch | wc -l)
echo "cover letter of the first series:  $cover"
echo "cover letter of the second series: $(ids ../mounts/0000-*)"
echo "$answers patches of the two series answer that id"
{ [ "$cover" = "$(ids ../mounts/0000-*)" ] && [ "$answers" -eq 3 ]; } || die "not as described any more"
[ "$(ids ../mounts/0001-*)" = "$(ids ../mounts2/v2-0001-*)" ] || die "not as described any more"
echo "As described: two cover letters with one Message-ID, and patch 1 of v2 has the id of patch 1 of v1."
