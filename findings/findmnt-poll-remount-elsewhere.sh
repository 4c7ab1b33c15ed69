#!/usr/bin/env bash
# util-linux 2.41.5 (Debian 13) on the machine's kernel (tried: 6.18 and 7.3.4). Needs apt-get, dpkg-deb, unshare and chroot.
#
# Question: findmnt --poll watches. A process in another mount namespace, a copy of this one, remounts a tmpfs that both have, with
#   another size. mountinfo shows the new size in both at once. What does findmnt print?
# Guess: remount, with the old and the new size.
# What happens: nothing. The size belongs to the superblock, which both share, but poll() of mountinfo reports changes to mounts of
#   one's own namespace, and none was made. Any later change here, a mount somewhere else, brings the missed remount out with it.
#   The same remount made in findmnt's own namespace is reported at once. A container is enough to change what is not reported here.
# Seen: remount elsewhere: nothing in 3 s, though mountinfo has size=2048k; after another mount: remount, mount; remount here: remount
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

# The shell would take its own mount without the path.
cat >root/steps <<'END'
set -eu
# await WORD: until findmnt has reported it
await() {
	for i in 1 2 3 4 5 6 7 8 9 10; do
		! grep -q "$1" /tmp/log || return 0
		sleep 1
	done
	echo "findmnt does not report $1"
	exit 1
}
/usr/bin/mount -t tmpfs tmp /tmp
mkdir /tmp/dir /tmp/one /tmp/two
/usr/bin/mount -t tmpfs -o size=1M disk /tmp/dir
findmnt --poll -n -r -o ACTION,TARGET,OLD-OPTIONS,OPTIONS >/tmp/log &
sleep 1
/usr/bin/mount -t tmpfs one /tmp/one
await /tmp/one
/usr/bin/unshare -m --propagation unchanged /usr/bin/mount -o remount,size=2M /tmp/dir
sleep 3
echo "mountinfo here: $(sed -n '/ \/tmp\/dir /s/.*\(size=[0-9]*k\).*/\1/p' /proc/self/mountinfo)"
echo "remount elsewhere, after 3 s: $(grep -c remount /tmp/log || :)"
/usr/bin/mount -t tmpfs two /tmp/two
await /tmp/two
echo "after a mount here: $(grep -c remount /tmp/log || :)"
/usr/bin/mount -o remount,size=3M /tmp/dir
await size=3072k
echo "remount here: $(grep -c remount /tmp/log || :)"
kill $!
sed 's/^/  /' /tmp/log >&2
END
# shellcheck disable=SC2016
"${own[@]}" sh -c 'cd root && mount --rbind /dev dev && mount --rbind /proc proc && exec chroot . /bin/busybox sh /steps' >found 2>log ||
	die "the steps failed: $(cat found log)"
echo "remounts that findmnt had reported:"
cat found
echo "all that it reported:"
cat log
printf '%s\n' 'mountinfo here: size=2048k' 'remount elsewhere, after 3 s: 0' 'after a mount here: 1' 'remount here: 2' >wanted
cmp -s wanted found || die "not as described any more"
echo "As described: the change of a superblock is not reported until something else happens here."
