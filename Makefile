# Every target calls a script in tools/; what a script needs is made first. Output goes to build/, logs to build/log/.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps linux config kernel boot demo test kunit selftest host-test checkpatch regress build-check bench bench-check fuzz
.PHONY: export export-check series-check bisect-check mail samples samples-test clean distclean

# These count only on the command line, not when the shell happens to hold them.
$(foreach v,CMD DEBUG FORCE PART TESTS,$(if $(filter environment%,$(origin $v)),$(eval undefine $v)))
override CMD := $(value CMD)
export CMD DEBUG FORCE PART TESTS LINUX_SRC LINUX_TAG

help: ## this list (the default)
	@echo 'make demo shows /dev/watch_queue at work; make test runs all tests. Targets:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

deps: ## install what is missing (apt), pick the Rust toolchain, build bindgen, make the venv
	@tools/deps

linux: deps ## build/linux: the base kernel as a git repository with the series on top (LINUX_SRC=, LINUX_TAG=, FORCE=1)
	@tools/linux

config: linux ## configure build/kernel from ci/*.config (DEBUG=1: build/kernel-debug)
	@tools/kernel config

kernel: linux ## build the kernel (DEBUG=1: the one with KASAN, lockdep and the like)
	@tools/kernel kernel

boot: kernel ## a shell in the VM on this machine's files; CMD='...' runs one command, and fails if that command fails
	@tools/boot

demo: kernel ## change keys, mounts, superblocks and block devices in the VM; programs print each change from the ring
	@tools/demo

samples: linux ## build samples/, small programs in C, Python and Rust, into build/samples
	@tools/samples

samples-test: kernel ## run the programs of samples/ in the VM: each must print exactly what happens there
	@tools/samples test

test: linux ## all tests: host-test, kunit, selftest, samples-test; ends with their sum
	@tools/test host-test kunit selftest samples-test

kunit: linux ## the KUnit suites on user-mode Linux
	@tools/kunit

selftest: kernel ## the kselftests in the VM, also with SELinux, Smack and no LSM (TESTS='mount_* sb_test': only these; DEBUG=1: on the debug kernel, whose log must stay clean)
	@tools/selftest

host-test: linux ## the driver's plain Rust on the host: unit and property tests, loom; the tests of tools/ktap
	@tools/host-test

fuzz: deps ## fuzz the driver's plain Rust with libFuzzer for 30 s (FUZZ_SECONDS=); keeps inputs that crash and runs them first next time
	@tools/fuzz $(FUZZ_SECONDS)

checkpatch: linux ## checkpatch.pl --strict on the patches, rustfmt on their Rust, shellcheck on our scripts
	@tools/checkpatch

regress: kernel ## the kernel's own tests of mounts, on the base kernel and on ours: the same results
	@tools/regress

build-check: kernel ## compile what the series touches with options off or alone, without LSMs or fsnotify, and every filesystem
	@tools/build-check

bench: kernel ## count instructions beside other mechanisms, write Documentation/performance.md
	@tools/bench

bench-check: kernel ## run bench, write nothing, and fail if a goal is missed
	@tools/bench check

export: ## write patches/, series and linux/ from the commits of build/linux
	@tools/export

export-check: linux ## fail if patches/, series or linux/ differ from what build/linux exports
	@tools/export-check

series-check: linux ## each part of the series applies to A and B alone and compiles; messages, sizes, lines that patches remove again
	@tools/series-check

bisect-check: linux ## build every patch alone, boot and test each part's end; takes hours, goes on where it stopped (PART=D: only that part)
	@tools/bisect-check

mail: linux ## PART=D: write that part as mails to build/mail/D, with recipients; applies them for a test, and sends nothing
	@tools/mail

clean: ## remove build outputs; keep build/linux, downloads, tools and ccache
	@tools/clean

distclean: ## remove build/, unless build/linux holds work of yours (FORCE=1: even then)
	@tools/clean all
