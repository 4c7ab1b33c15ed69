#!/usr/bin/env bash
# util-linux 2.41.5 (Debian 13; 2.42.4 does the same; Linux 6.18 and 7.3.4). Needs apt-get, dpkg-deb, unshare and chroot.
#
# Question: `findmnt --poll` watches. A second tmpfs is mounted on a directory that has one, from a source of the same name, and then
#   unmounted again. After that the directory is bind-mounted on itself. What does findmnt print?
# Guess: mount, umount, mount.
# What happens: findmnt compares the old table with the new one by source and target, not by mount id. Two mounts of one source on
#   one directory are one to it: the new mount is reported as a remount, twice, with the options of the mount below as the old
#   ones; its end is no event; the bind mount is none either. With another source's name all three are reported.
# Seen: same source: remount, remount; same directory bound on itself: nothing; another source: mount, umount
set -eu
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}
for tool in apt-get dpkg-deb unshare chroot; do
	command -v $tool >/dev/null || die "needs $tool, on Debian 12 or newer"
done
[ "$(uname -m)" = x86_64 ] || die "needs x86_64"
if [ "$(id -u)" -eq 0 ]; then own=(unshare -m --propagation private); else own=(unshare -r -m --propagation private); fi
"${own[@]}" true || die "needs a mount namespace: run it as root, or allow user namespaces"
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

version=2.41.5-0+deb13u1
fetch trixie mount=$version util-linux=$version libmount1=$version libblkid1=$version libsmartcols1=$version libuuid1=$version \
	libc6=2.41-12+deb13u5 libselinux1=3.8.1-1 libpcre2-8-0=10.46-1~deb13u3 libudev1=257.13-1~deb13u1 libcap2=1:2.75-10+deb13u1+b3 \
	libtinfo6=6.5+20250216-2 busybox-static=1:1.37.0-6+b9
mkdir -p root/usr/bin root/usr/sbin root/usr/lib root/usr/lib64 root/proc root/dev root/tmp
for folder in bin sbin lib lib64; do ln -s usr/$folder root/$folder; done
for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --no-same-owner --keep-directory-symlink -C root; done

# What runs in there; its shell would take its own mount without the path. Each step ends with a marker, a mount of its own that
# findmnt has to report before the next step.
cat >root/steps <<'END'
set -eu
marker() {
	mkdir "/tmp/$1"
	/usr/bin/mount -t tmpfs "$1" "/tmp/$1"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		! grep -q "/tmp/$1 " /tmp/log || return 0
		sleep 1
	done
	echo "findmnt reports nothing" >>/tmp/log
	exit 1
}
/usr/bin/mount -t tmpfs tmp /tmp
mkdir /tmp/dir
/usr/bin/mount -t tmpfs -o size=1M disk /tmp/dir
findmnt --poll -n -r -o ACTION,TARGET,SOURCE,OPTIONS,OLD-OPTIONS >/tmp/log &
sleep 1
marker watching
/usr/bin/mount -t tmpfs -o size=2M disk /tmp/dir
marker same-source-mounted
/usr/bin/umount /tmp/dir
marker same-source-unmounted
/usr/bin/mount --bind /tmp/dir /tmp/dir
marker bound-on-itself
/usr/bin/umount /tmp/dir
/usr/bin/mount -t tmpfs -o size=2M other /tmp/dir
marker other-source-mounted
/usr/bin/umount /tmp/dir
marker other-source-unmounted
kill $!
cat /tmp/log
END
# shellcheck disable=SC2016
"${own[@]}" sh -c 'cd root && mount --rbind /dev dev && mount --rbind /proc proc && exec chroot . /bin/busybox sh /steps' >log ||
	die "the steps failed: $(cat log)"
# action(s) on the directory, then the marker
awk '$2 == "/tmp/dir" { events = events " " $1; if ($1 == "remount") print "  (" $0 ")" >"/dev/stderr"; next }
	{ sub(".*/", "", $2); print $2 ":" events; events = "" }' log | tee found
printf '%s\n' watching: 'same-source-mounted: remount remount' same-source-unmounted: bound-on-itself: \
	'other-source-mounted: mount' 'other-source-unmounted: umount' >wanted
cmp -s wanted found || die "not as described any more"
echo "As described: a mount on top of one with the same source is a remount of both, and its end is no event."
