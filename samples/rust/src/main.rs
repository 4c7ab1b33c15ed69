// SPDX-License-Identifier: MIT OR Apache-2.0
//! watch-disk PATH DEVICE: prints what is mounted at PATH and below, and the errors of the block device.
//! The steps are those of "Protocol" in Documentation/userspace-api/watch_queue/device.rst.
use rustix::event::{PollFd, PollFlags, poll};
use rustix::ioctl::{IntegerSetter, Opcode, Setter, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::ffi::{CStr, CString, c_int, c_long};
use std::sync::atomic::{AtomicU32, Ordering::*, fence};
use std::{env, fmt::Display, fs::File, io, os::fd::AsRawFd, process::exit, ptr, slice};

const AT_FDCWD: c_int = -100;
const PAGES: usize = 4;
const SET_SIZE: Opcode = opcode::none(b'W', 0x60);
const SET_FILTER: Opcode = opcode::none(b'W', 0x61);
/// Two rules, each a type, info_filter, info_mask and 256 bits: new mounts and unmounts; all block errors.
const FILTER: [u32; 24] =
    [2, 0, 2, 0, 0, 0b11, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, !0, 0, 0, 0, 0, 0, 0, 0];

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}
fn mount_notify(dfd: c_int, path: &CStr, at_flags: c_int, fd: c_int, tag: c_int) -> io::Result<()> {
    result(unsafe { syscall(473, dfd, path.as_ptr(), at_flags, fd, tag) })
}
fn block_notify(dfd: c_int, path: &CStr, at_flags: c_int, fd: c_int, tag: c_int) -> io::Result<()> {
    result(unsafe { syscall(475, dfd, path.as_ptr(), at_flags, fd, tag) })
}
fn result(returned: c_long) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
fn check<T, E: Display>(call: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|why| {
        eprintln!("watch-disk: {call}: {why}");
        exit(1)
    })
}

/// Prints a record, or passes over it. Returns whether it says that a watch is gone.
fn print(r: &[u32]) -> bool {
    let (kind, subtype, tag) = (r[0] & 0xff_ffff, r[0] >> 24, r[1] >> 8 & 0xff); // little-endian
    let long = |at: usize| u64::from(r[at]) | u64::from(r[at + 1]) << 32;
    let error = |at: usize| io::Error::from_raw_os_error(r[at] as i32);
    match (kind, subtype, r.len()) {
        (0, 0, _) => println!("the watch with tag {tag} is gone"),
        (0, 1, 6..) => println!("{} records are missing here", long(2)),
        (2, 0, 16..) => println!("mount {} was mounted on {}", long(2), long(4)),
        (2, 1, 16..) => println!("mount {} was unmounted from {}", long(2), long(4)),
        (4, _, 10..) => println!("disk {}:{} at sector {}: {}", r[2], r[3], long(4), error(7)),
        _ => (), // META/SKIP, and what is not known yet
    }
    (kind, subtype) == (0, 0)
}

fn main() {
    let args: Vec<_> = env::args().map(|arg| CString::new(arg).unwrap()).collect();
    let [_, path, device] = &args[..] else { check("usage", Err("watch-disk PATH DEVICE")) };
    let file = File::options().read(true).write(true).open("/dev/watch_queue");
    if matches!(&file, Err(why) if why.kind() == io::ErrorKind::NotFound) {
        check("there is no /dev/watch_queue", Err("boot a kernel with CONFIG_WATCH_QUEUE_DEV=y"))
    }
    let file = check("open /dev/watch_queue", file);
    let (fd, size) = (file.as_raw_fd(), rustix::param::page_size() * PAGES);
    let ring = unsafe {
        check("ioctl SET_SIZE", ioctl(&file, IntegerSetter::<SET_SIZE>::new_usize(PAGES)));
        check("ioctl SET_FILTER", ioctl(&file, Setter::<SET_FILTER, _>::new(FILTER)));
        let rw = ProtFlags::READ | ProtFlags::WRITE;
        let buf = check("mmap", mmap(ptr::null_mut(), size, rw, MapFlags::SHARED, &file, 0));
        slice::from_raw_parts(buf.cast::<AtomicU32>(), size / 4) // atomic, as others write there
    };
    assert_eq!(ring[6].load(Relaxed), 1, "the version of the ring");
    check("mount_notify", mount_notify(AT_FDCWD, path, 0, fd, 0x02));
    check("block_notify", block_notify(AT_FDCWD, device, 0, fd, 0x04));
    println!("watching {} and {}", path.to_string_lossy(), device.to_string_lossy());

    let mut fds = [PollFd::new(&file, PollFlags::IN)];
    let (mut tail, mut known, mut watches) = (ring[16].load(Relaxed), [0, 0], 2);
    while watches > 0 {
        let head = ring[2].load(Acquire); // step 1, and 5
        let lost = [ring[4].load(Relaxed), ring[5].load(Relaxed)];
        if head == tail && lost == known {
            check("poll", poll(&mut fds, None));
            assert!(!fds[0].revents().contains(PollFlags::ERR), "somebody wrote into the ring");
            continue;
        }
        if lost != known {
            println!("records were lost: list the mounts again");
        }
        known = lost;
        while tail != head {
            let at = (tail & ring[3].load(Relaxed)) as usize * 2; // step 2
            let words = (ring[at + 1].load(Relaxed) & 0x7f).div_ceil(8) as usize * 2;
            assert!(words > 0, "somebody wrote into the ring");
            let record: Vec<_> = ring[at..][..words].iter().map(|w| w.load(Relaxed)).collect();
            watches -= i32::from(print(&record));
            tail = tail.wrapping_add(words as u32 / 2);
        }
        ring[16].store(tail, Release); // step 3
        fence(SeqCst); // step 4
    }
}
