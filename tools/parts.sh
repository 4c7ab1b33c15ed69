# shellcheck shell=bash
# Sourced in place of lib.sh by what handles the series in its parts (ci/parts).
. "$(dirname "$0")/lib.sh"
PATH=$top/tools/parts:$PATH
most_patches=15
replay=$build/replay

# attempt COMMAND...: run it, put its status into $status and go on. (In a condition bash ignores set -e inside a function.)
attempt() {
	set +e
	(set -e && "$@") </dev/null
	status=$?
	set -e
}

### which patch belongs to which part

parts() { sed -n 's/^\([A-Z]\) *|.*/\1/p' "$top/ci/parts"; }
part_title() { sed -n "s/^$1 *| *\(.*[^ ]\) *|.*/\1/p" "$top/ci/parts"; }
part_subjects() { sed -n 's/^[A-Z] *|.*| *\(.*[^ ]\) *$/\1/p' "$top/ci/parts"; }

# "PART COMMIT SUBJECT" of each patch in build/linux, oldest first; the part is - before the first.
commits_in_parts() {
	kgit log --reverse --format='%H %s' base..HEAD | awk -v part=- '
		NR == FNR { if (split($0, field, / *[|] */) == 3) first[field[3]] = field[1]; next }
		{ subject = substr($0, index($0, " ") + 1) }
		subject in first { part = first[subject] }
		{ print part, $0 }' <(sed '/^#/d; s/ *$//' "$top/ci/parts") -
}

# part_commits PART: its commits in build/linux, oldest first
part_commits() { commits_in_parts | sed -n "s/^$1 \([^ ]*\) .*/\1/p"; }
part_end() { part_commits "$1" | tail -n 1; }
part_before() { kgit rev-parse "$(part_commits "$1" | head -n 1)^"; }

check_parts() {
	local lost wanted found number part
	lost=$(part_subjects | grep -vxFf <(kgit log --format=%s base..HEAD) || :)
	[ -z "$lost" ] || die "ci/parts names first patches that are not in build/linux:" "$lost"
	wanted=$(parts | paste -sd' ')
	found=$(commits_in_parts | cut -d' ' -f1 | uniq | paste -sd' ')
	[ "${found#- }" = "$found" ] || die "the first patch of build/linux is of no part of ci/parts: $(kgit log --format=%s base..HEAD | tail -n 1)"
	[ "$found" = "$wanted" ] || die "the parts are in the order $wanted in ci/parts, and $found in build/linux"
	while read -r number part; do
		[ "$number" -le $most_patches ] || die "part $part has $number patches; at most $most_patches (ci/parts)"
	done < <(commits_in_parts | cut -d' ' -f1 | uniq -c)
}

# check_part PART: does it exist?
check_part() {
	local part
	[ -n "$1" ] && parts | grep -qxF -- "$1" && return
	say "PART= takes one of these:"
	for part in $(parts); do printf '  %s  %s\n' "$part" "$(part_title "$part")" >&2; done
	exit 1
}

### a part without those that come between part B and it

rgit() { linux=$replay kgit "$@"; }

# Mails have the patches' author for their sender, also where there is a cover letter.
use_author() {
	GIT_COMMITTER_NAME=$(kgit log -1 --format=%an "$1")
	GIT_COMMITTER_EMAIL=$(kgit log -1 --format=%ae "$1")
	export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
}

# A clone of build/linux that shares its objects, with an empty work tree: cherry-pick needs no files there.
open_replay() {
	# Another target that replays parts would remove what this one uses.
	exec {lock}>"$build/parts.lock"
	flock -n "$lock" || die "another target uses build/replay; wait for its end"
	rm -rf "$replay"
	GIT_CONFIG_GLOBAL=/dev/null git clone -q --shared --no-checkout "$linux" "$replay"
	rgit config core.sparseCheckout true
	rgit config gc.auto 0
	rgit config merge.table.name "lists of ci/tables"
	rgit config merge.table.driver "$top/tools/parts/merge-table %O %A %B %P"
	echo /no-file-at-all >"$replay/.git/info/sparse-checkout"
	sed -n 's/^\([^# \t][^ \t]*\).*/\1 merge=table/p' "$top/ci/tables" >"$replay/.git/info/attributes"
}

# pick COMMIT: onto the branch; where it does not apply, what stands in its way is added to build/log/replay.faults
pick() {
	if rgit -c advice.mergeConflict=false cherry-pick "$1" >"$log/replay.log" 2>&1; then
		replayed "$replay" "$1" "$(rgit rev-parse HEAD)" >"$log/replay.lines" && return
		{ kgit log -1 --format='%s: becomes another patch:' "$1"; sed 's/^/  /' "$log/replay.lines"; } >>"$log/replay.faults"
	else
		kgit log -1 --format="%s: does not apply: $(rgit diff --name-only --diff-filter=U | paste -sd' ')" "$1" >>"$log/replay.faults"
		rgit diff >>"$log/replay.diff"
		rgit cherry-pick --skip
	fi
}

# replay_part PART: in the branch of that name in build/replay, onto the end of part B (A and B themselves stay where they are)
replay_part() {
	local commit
	use_author "$(part_end "$1")"
	if [ "$1" \< C ]; then
		rgit branch -q -f "$1" "$(part_end "$1")"
		return
	fi
	rm -f "$log/replay.faults" "$log/replay.diff"
	rgit checkout -q -f -B "$1" "$(part_end B)"
	for commit in $(part_commits "$1"); do pick "$commit"; done
	[ ! -s "$log/replay.faults" ] || die "part $1 needs more than A and B (see build/log/replay.diff; a patch may fail because one before it did)" \
		"$(sed '2,$s/^/  /' "$log/replay.faults")"
}

# mail_base PART: what its mails apply to
mail_base() {
	case $1 in
	A) kgit rev-parse base^0 ;;
	B) part_end A ;;
	*) part_end B ;;
	esac
}

# part_patches PART FOLDER [OPTION...]: the patches of a replayed part, as they are mailed
part_patches() {
	rm -rf "$2"
	mkdir -p "$2"
	rgit -c diff.noprefix=false -c diff.mnemonicPrefix=false format-patch -q -o "$2" --no-signature --abbrev=12 \
		--diff-algorithm=myers -M "${@:3}" "$(mail_base "$1")..$1"
}

### a clone that has nothing but the base and what is applied there

fresh=$build/fresh
# What is applied goes into objects of its own, which are gone before the next: nobody finds a blob there that a maintainer lacks.
fgit() {
	GIT_OBJECT_DIRECTORY=$fresh.objects GIT_ALTERNATE_OBJECT_DIRECTORIES=$fresh/.git/objects linux=$fresh kgit "$@"
}

# The base comes as a pack, without the blobs of any patch.
fetch_fresh() {
	local from=$linux
	rm -rf "$fresh" "$fresh.objects"
	mkdir -p "$fresh.objects"
	GIT_CONFIG_GLOBAL=/dev/null git init -q "$fresh"
	linux=$fresh kgit config gc.auto 0
	linux=$fresh kgit config core.fsync none
	linux=$fresh kgit config feature.manyFiles true
	linux=$fresh kgit fetch -q --no-tags --depth 1 "file://$from" refs/tags/base:refs/tags/base
}

# open_fresh: its work tree is the base
open_fresh() {
	[ "$(fgit rev-parse -q --verify base^0 2>/dev/null)" = "$(kgit rev-parse base^0)" ] || fetch_fresh
	fgit am --abort 2>/dev/null || :
	fgit checkout -q -f --detach base
	fgit clean -q -f -d
	rm -rf "$fresh.objects"
	mkdir -p "$fresh.objects"
}

# apply_fresh FILE...: as a maintainer applies mails
apply_fresh() {
	fgit -c advice.mergeConflict=false am -q -3 --no-gpg-sign --keep-non-patch --committer-date-is-author-date "$@" >"$log/am.log" 2>&1 && return
	fgit am --abort || :
	die "git am -3 fails in a clone that has only the base and what came before:" "$(tail -n 5 "$log/am.log")"
}

### compiling what a part touches

# The options that Kconfig has at HEAD and not in the base, each switched on.
new_options() {
	kgit diff -U0 base HEAD -- '*Kconfig*' | sed -n 's/^+config \([A-Z0-9_]*\)$/CONFIG_\1=y/p' | sort -u
}

# configure_with FRAGMENT...: $kernel from them and all that the series adds to Kconfig so far. What this tree does not have is
# passed over, but each new option must be on.
configure_with() {
	local lost
	mkdir -p "$kernel"
	# The KUnit suites are among them.
	{ new_options; echo CONFIG_KUNIT=y; } >"$kernel/options.config"
	export KCONFIG_CONFIG=$kernel/.config.new
	kmake -s tinyconfig
	(cd "$linux" && scripts/kconfig/merge_config.sh -m -O "$kernel" "$KCONFIG_CONFIG" "$@" "$kernel/options.config")
	kmake -s olddefconfig
	cmp -s "$KCONFIG_CONFIG" "$kernel/.config" || cp "$KCONFIG_CONFIG" "$kernel/.config"
	rm -f "$kernel"/.config.new*
	unset KCONFIG_CONFIG
	lost=$(grep -vxFf "$kernel/.config" "$kernel/options.config" || :)
	[ -z "$lost" ] || die "these options of the series cannot be on:" "$lost"
}

# shellcheck disable=SC2034 # for configure_with
# Every filesystem of the series, and over that the lean kernel with its LSMs.
every_option=("$top/ci/variants/all.config" "$top/ci/lean.config" "$top/ci/vm.config" "$top/ci/watch_queue.config")

# changed_tests FROM TO: the selftests' files that change, without tools/testing/selftests/Makefile
changed_tests() { kgit diff --no-renames --diff-filter=d --name-only "$1" "$2" -- ':(glob)tools/testing/selftests/*/**'; }

enabled() { grep -q "^CONFIG_$1=y" "$kernel/.config"; }

# builds FOLDER ENTRY: does the folder's Makefile build the entry with this configuration? One that it has for no option is
# built with whatever the folder is built for.
builds() {
	local option options
	options=$(sed -n "s,^obj-[\$][({]CONFIG_\([A-Z0-9_]*\)[)}].*[[:space:]]$2\([[:space:]].*\)*$,\1,p" "$linux/$1/Makefile" "$linux/$1/Kbuild" 2>/dev/null || :)
	[ -n "$options" ] || return 0
	for option in $options; do
		! enabled "$option" || return 0
	done
	return 1
}

# built FILE.c: does this configuration build it, other than by including it?
built() {
	local folder=${1%/*} entry=${1##*/}
	[[ $entry != *kunit* ]] || grep -q "[[:space:]]${entry%.c}\.o" "$linux/$folder/Makefile" 2>/dev/null || return
	builds "$folder" "${entry%.c}.o" && builds "$folder" "${folder##*/}.o" || return
	while [ "$folder" != "${folder%/*}" ]; do
		builds "${folder%/*}" "${folder##*/}/" || return
		folder=${folder%/*}
	done
}

# changed_objects FROM TO [FILES...]: the objects to compile: what changes there and this configuration has; for Rust the whole
# folder. The kernel crate is compiled before anything else.
changed_objects() {
	local file files=("${@:3}")
	[ $# -gt 2 ] || files=(block drivers fs init io_uring ipc kernel lib mm net security)
	kgit diff --no-renames --diff-filter=d --name-only "$1" "$2" -- "${files[@]}" | while read -r file; do
		case $file in
		*.c) ! built "$file" || echo "${file%.c}.o" ;;
		*.rs) ! built "$file" || echo "${file%/*}/" ;;
		esac
	done | sort -u
}
