#!/usr/bin/env bash
# b4 0.16.0 (PyPI). Needs git and python3 with venv; pip as the machine has it.
#
# Question: a series of three is in a mailbox, but mail 2/3 is missing. A script runs `b4 am -m MAILBOX && git am FILE`. What happens?
# Guess: b4 refuses: status not 0, no file; there are options for those who want a part.
# What happens: b4 prints "ERROR: missing [2/3]!" and "WARNING: Thread incomplete!", writes a file with 1/3 and 3/3, says to give it
#   to `git am`, and returns 0. Where the patches touch different places git am takes them, and a series with a hole is in the tree.
# Seen: ERROR: missing [2/3]!, b4 am returned 0 and wrote 1/3 and 3/3; git am returned 0, and the tree has: one, three
set -eu
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}
for tool in git python3; do
	command -v $tool >/dev/null || die "needs $tool"
done
python3 -c 'import ensurepip, venv' 2>/dev/null || die "needs python3-venv"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install b4==0.16.0 2>pip.log || die "pip cannot install b4: $(tail -n 3 pip.log)"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 HOME=$PWD XDG_DATA_HOME=$PWD/data XDG_CACHE_HOME=$PWD/cache
export GIT_AUTHOR_NAME=Ann GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_NAME=Ann GIT_COMMITTER_EMAIL=ann@example.org

git init -q tree
cd tree
git commit -q --allow-empty -m base
git tag base
for name in one two three; do
	echo $name >$name
	git add $name
	git commit -q -m "$name: added"
done
git format-patch -q --thread --cover-letter -o ../v1 base
sed -i 's/\*\*\* SUBJECT HERE \*\*\*/Three files/' ../v1/0000-*

cat ../v1/0000-* ../v1/0001-* ../v1/0003-* >../mailbox
status=0
../venv/bin/b4 --offline-mode am -m ../mailbox -o ../out -n series >../log 2>&1 || status=$?
subjects=$(sed -n 's/^Subject: //p' ../out/series.mbx | paste -sd, | sed 's/,/, /g')
echo "2/3 is missing: b4 am returned $status and wrote: $subjects"
grep -e missing -e incomplete ../log
[ "$status $subjects" = '0 [PATCH 1/3] one: added, [PATCH 3/3] three: added' ] || die "not as described any more"
git checkout -q base
git am -q ../out/series.mbx || die "not as described any more: git am failed"
echo "git am returned 0, and the tree has: $(git log --reverse --format=%s base.. | paste -sd, | sed 's/,/, /g')"

echo "As described: b4 returns 0 for a series with a hole."
