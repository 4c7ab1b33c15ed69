#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""watch-keys.py [KEYRING]: print what happens to it, or to the session keyring, by mmap and ctypes alone.

The steps are those of "Protocol" in Documentation/userspace-api/watch_queue/device.rst. They ask for loads and stores
in a certain order, and Python has no means for that. poll() can serve: it takes the queue's lock and drops it
again, and the kernel holds that lock whenever it writes to the ring or looks at tail. So on every machine
  head is loaded, poll(), records are read:  they are there, as if head had been loaded with acquire;
  records are read, poll(), tail is stored:  they are not overwritten before, as if that were a release;
  tail is stored, poll() sleeps:             it looks at head and tail itself first; no fence is needed.
x86 keeps loads in order, and stores behind earlier loads: there the first two hold without poll().
"""
import ctypes
import fcntl
import mmap
import os
import select
import signal
import sys

SET_SIZE, SET_FILTER, BUF_SIZE = 0x5760, 0x5761, 1  # BUF_SIZE in pages
META, KEY_NOTIFY, META_REMOVAL, META_LOSS, KEYCTL_WATCH_KEY, KEY_SPEC_SESSION_KEYRING = 0, 1, 0, 1, 32, -3
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}.get(sys.maxsize > 2**32 and os.uname().machine)
SYS_KEYCTL or sys.exit("this sample knows the numbers of 64-bit x86, Arm and RISC-V only")
EVENTS = ["key {0} was instantiated", "key {0} was updated", "key {1} was linked to keyring {0}",
          "key {1} was unlinked from keyring {0}", "keyring {0} was cleared", "key {0} was revoked",
          "key {0} was invalidated", "key {0} has other attributes"]  # by subtype
u32, u64 = ctypes.c_uint32, ctypes.c_uint64
libc = ctypes.CDLL(None, use_errno=True)


class Ring(ctypes.Structure):
    _fields_ = [("watch", u64), ("head", u32), ("mask", u32), ("lost", u64), ("version", u32), ("flags", u32),
                ("reserved", u64 * 4), ("tail", u32)]


class Record(ctypes.Structure):
    _fields_ = [("type", u32, 24), ("subtype", u32, 8), ("info", u32)]


class KeyNotification(Record):
    _fields_ = [("key_id", u32), ("aux", u32)]


def keyctl_watch_key(key, watch_fd, tag):
    if libc.syscall(SYS_KEYCTL, KEYCTL_WATCH_KEY, key, watch_fd, tag) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def call(name, function, *arguments):
    try:
        return function(*arguments)
    except (OSError, ValueError) as error:
        sys.exit(f"watch-keys.py: {name}: {getattr(error, 'strerror', error)}")


def read_ring(fd, buf):
    ring, poller, known = Ring.from_buffer(buf), select.poll(), 0
    tail = ring.tail
    poller.register(fd, select.POLLIN)
    while True:
        head, lost = ring.head, ring.lost  # step 1, and 5
        for _, events in call("poll", poller.poll, None if (head, lost) == (tail, known) else 0):
            if events & select.POLLERR:
                sys.exit("watch-keys.py: somebody wrote into the ring")
        if lost != known:
            print("records were lost: read the keyring again", flush=True)
        known = lost
        while tail != head:  # step 2
            at = (tail & ring.mask) * 8
            n = Record.from_buffer_copy(buf, at)
            length = n.info & 0x7f
            if length < ctypes.sizeof(n):
                sys.exit("watch-keys.py: somebody wrote into the ring")
            if n.type == KEY_NOTIFY and length >= 16 and n.subtype < len(EVENTS):
                key = KeyNotification.from_buffer_copy(buf, at)
                print(EVENTS[n.subtype].format(key.key_id, key.aux), flush=True)
            elif (n.type, n.subtype) == (META, META_LOSS) and length >= 16:
                print(u64.from_buffer_copy(buf, at + 8).value, "records are missing here", flush=True)
            elif (n.type, n.subtype) == (META, META_REMOVAL):
                return print("the keyring is gone", flush=True)
            tail = (tail + (length + 7) // 8) % 2**32
        poller.poll(0)
        ring.tail = tail  # step 3


for number in signal.SIGINT, signal.SIGPIPE:
    signal.signal(number, signal.SIG_DFL)  # end without a word, as other programs do
keyring = call("KEYRING", int, sys.argv[1]) if len(sys.argv) > 1 else KEY_SPEC_SESSION_KEYRING
if not os.path.lexists("/dev/watch_queue"):
    sys.exit("watch-keys.py: there is no /dev/watch_queue: boot a kernel with CONFIG_WATCH_QUEUE_DEV=y")
fd = call("open /dev/watch_queue", os.open, "/dev/watch_queue", os.O_RDWR)
call("ioctl SET_SIZE", fcntl.ioctl, fd, SET_SIZE, BUF_SIZE)
call("ioctl SET_FILTER", fcntl.ioctl, fd, SET_FILTER, (u32 * 13)(1, 0, KEY_NOTIFY, 0, 0, 0xff))
buf = call("mmap", mmap.mmap, fd, BUF_SIZE * mmap.PAGESIZE)
if Ring.from_buffer(buf).version != 1:
    sys.exit("watch-keys.py: the kernel's ring is of another version")
call("keyctl_watch_key", keyctl_watch_key, keyring, fd, 0x01)
print("watching the keyring", flush=True)
read_ring(fd, buf)
