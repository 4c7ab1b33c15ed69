# shellcheck shell=bash
# Sourced first by every script here: a clean environment, paths, progress lines and the kernel's make.
set -euo pipefail

# Nothing that the user's shell happens to hold may change a build; only these pass.
for name in $(compgen -e); do
	case $name in
	HOME | USER | LOGNAME | TERM | COLUMNS | TMPDIR | XDG_RUNTIME_DIR) ;;
	*_proxy | *_PROXY | *SSL_C* | *CERT* | *CA_BUNDLE | PIP_* | CARGO_HOME | CARGO_HTTP_* | CARGO_NET_*) ;;
	RUSTUP_HOME | CCACHE_DIR | CCACHE_MAXSIZE) ;;
	CMD | DEBUG | FORCE | PART | TESTS | LINUX_SRC | LINUX_TAG) ;;
	*) unset "$name" ;;
	esac
done
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset name

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
log=$build/log
linux=$build/linux
kernel=$build/kernel${DEBUG:+-debug}
# shellcheck disable=SC2034
bzimage=$kernel/arch/x86/boot/bzImage
headers=$build/headers
this=${0##*/}
mkdir -p "$log"
# shellcheck source=../ci/base
. "$top/ci/base"

# Progress goes to standard error; standard output is for what was asked.
say() { printf '%s: %s\n' "$this" "$*" >&2; }
die() {
	printf '%s: %s\n' "$this" "$1" >&2
	[ $# -eq 1 ] || printf '  %s\n' "${@:2}" >&2
	exit 1
}

# count PASSED FAILED: what the summary of `make test` adds up
count() {
	echo "$1 $2" >"$log/$this.count"
	say "$1 passed, $2 failed"
	[ "$2" -eq 0 ] && [ "$1" -gt 0 ]
}

# step WHAT COMMAND...: run a long command with its output in the script's log, showing one line meanwhile
step() {
	local what=$1 file=$log/$this.log start=$SECONDS status=0 ticker
	shift
	[ -t 2 ] || say "$what (log: ${file#"$top/"})"
	echo "# $what" >>"$file"
	ticker "$what" "$file" &
	ticker=$!
	# shellcheck disable=SC2064
	trap "kill $ticker 2>/dev/null || :" EXIT
	set +e
	(set -e && "$@") >>"$file" 2>&1 </dev/null
	status=$?
	set -e
	kill "$ticker" 2>/dev/null || :
	wait "$ticker" 2>/dev/null || :
	trap - EXIT
	[ ! -t 1 ] || printf '\r\033[K'
	if [ "$status" -ne 0 ]; then
		tail -n 40 "$file" >&2
		die "failed: $what (status $status); the whole log: ${file#"$top/"}"
	fi
	say "$what: done in $(elapsed "$start")"
}

elapsed() { printf '%d:%02d' $(((SECONDS - $1) / 60)) $(((SECONDS - $1) % 60)); }

ticker() {
	local start=$SECONDS never
	exec {never}<> <(:)
	while kill -0 $$ 2>/dev/null; do
		if [ -t 2 ]; then
			printf '\r\033[K%.*s' "${COLUMNS:-100}" \
				"$this: $1 $(elapsed "$start") (${2#"$top/"}) $(tail -n 1 "$2" | tr -d '\r\t')" >&2
			read -rt 1 -u "$never" || :
		else
			read -rt 60 -u "$never" || :
			say "$1: $(elapsed "$start") (log: ${2#"$top/"})"
		fi
	done
}
new_log() { : >"$log/$this.log"; }

# The toolchain that `make deps` found.
toolchain() {
	[ -f "$build/env.sh" ] || die "no toolchain yet" "run: make deps"
	# shellcheck source=/dev/null
	. "$build/env.sh"
	PATH=$build/ccache-bin:$LLVM_BIN:$RUST_BIN:$PATH
	mkdir -p "$build/ccache-bin"
	if command -v ccache >/dev/null; then
		ln -sf "$(command -v ccache)" "$build/ccache-bin/clang"
	else
		rm -f "$build/ccache-bin/clang"
	fi
	# With CCACHE_DEPEND ccache compiles a file that it lacks at once, without a run of the preprocessor before.
	export CCACHE_DIR=${CCACHE_DIR:-$build/ccache} CCACHE_BASEDIR=$build CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-10G} CCACHE_DEPEND=1
	export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026' KBUILD_BUILD_USER=builder KBUILD_BUILD_HOST=localhost
	rust_make=(LLVM=1 RUSTC="$RUST_BIN/rustc" RUSTDOC="$RUST_BIN/rustdoc" RUSTFMT="$RUST_BIN/rustfmt"
		BINDGEN="$BINDGEN" ${RUST_LIB_SRC:+RUST_LIB_SRC="$RUST_LIB_SRC"})
}

# The kernel's make; its Makefile assigns RUSTC and the like, so they go on its command line.
kmake() { make -C "$linux" O="$kernel" "${rust_make[@]}" "$@"; }

# The exported kernel headers, for user programs.
install_headers() { kmake -s headers_install INSTALL_HDR_PATH="$headers"; }

# The KUnit suites of the series are those of one kernel; run_kunit [SUITE] builds and runs it.
# shellcheck disable=SC2034
kunit_configs=({kernel/watch_queue,drivers/misc/watch_queue/,fs/tests/mount_watch,fs/tests/sb_watch,block/}.kunitconfig)
run_kunit() {
	"$top/tools/kernel" kernel uml && (cd "$linux" && ./tools/testing/kunit/kunit.py exec --build_dir="$build/kunit" "$@")
}

# guest_program NAME: options of tools/vm, one a line, to have a program of this machine in the guest, with its libraries where they
# have to be; none if it is not here.
guest_program() {
	local program library
	program=$(command -v "$1") || return 0
	printf '%s\n' --add "$program:/sbin/$1"
	while read -r library; do printf '%s\n' --add "$library:$library"; done < <(ldd "$program" | grep -o '/[^ ]*')
}

# git in build/linux, whatever the user's configuration says.
kgit() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null git -C "$linux" -c core.hooksPath=/dev/null "$@"
}

# The patches of series, which has a comment line before each part.
series_patches() { sed -n '/^[^#]/s,^,patches/,p' "$top/series"; }

# What `make linux` was last made from, or `make export` last wrote: "SERIES HEAD".
series_id() { (cd "$top" && cat series && series_patches | xargs -r cat) | sha256sum | cut -d' ' -f1; }
write_stamp() { echo "$(series_id) $(kgit rev-parse HEAD)" >"$build/linux.stamp"; }

# The commit of LINUX_SRC=, where that is a git clone.
source_commit() {
	[ -n "${LINUX_SRC:-}" ] || return
	[ -e "$LINUX_SRC/.git" ] || [ -d "$LINUX_SRC/objects" ] || return
	git -C "$LINUX_SRC" rev-parse -q --verify "${LINUX_TAG:-v$base_upstream}^{commit}"
}

# Compare an export in a directory with what is in the repository.
compare_export() {
	local name status=0
	for name in series patches linux; do
		[ ! -e "$1/$name" ] && [ ! -e "$top/$name" ] || diff -r "$1/$name" "$top/$name" || status=1
	done
	return $status
}
in_progress() { [ -d "$linux/.git/rebase-apply" ] || [ -d "$linux/.git/rebase-merge" ]; }

# accelerator: kvm where it really boots this kernel (into the panic for want of a root, which ends QEMU), else tcg.
# A device node that opens proves nothing. Asked once per boot of this machine.
accelerator() {
	local boot answer=tcg
	boot=$(</proc/sys/kernel/random/boot_id)
	if ! grep -qs "^$boot" "$build/accelerator"; then
		if [ -w /dev/kvm ] && timeout 10 qemu-system-x86_64 -machine q35 -accel kvm -cpu max -m 256M -nodefaults \
			-display none -no-reboot -kernel "$bzimage" -append panic=-1 >/dev/null 2>&1; then
			answer=kvm
		fi
		echo "$boot $answer" >"$build/accelerator"
	fi
	cut -d' ' -f2 "$build/accelerator"
}
