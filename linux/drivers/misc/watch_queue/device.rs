// SPDX-License-Identifier: GPL-2.0

//! The system calls: what user space says becomes calls of the queue.

use super::{
    filter::{
        self,
        Filter, //
    },
    queue::Producer,
    record::{
        self,
        Header,
        Record,
        SLOT_SIZE, //
    },
    ring::Readiness,
    uapi, //
};
use kernel::{
    fs::{
        self,
        file::flags::{
            O_ACCMODE,
            O_RDWR, //
        },
        Kiocb, //
    },
    iov::IovIterSource,
    miscdevice::{
        MiscDevice,
        MiscDeviceRegistration, //
    },
    mm::{
        user_pages::UserPages,
        virt::{
            flags,
            VmaNew, //
        }, //
    },
    page::PAGE_SIZE,
    prelude::*,
    seq_file::SeqFile,
    seq_print, static_lock_class,
    sync::{
        poll::{
            self,
            Event,
            PollCondVarBox,
            PollTable, //
        },
        Arc,
        SetOnce, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    },
    watch_queue::{
        self,
        Backend,
        LockedMemory,
        OwnedQueue,
        Queue, //
    },
};

impl From<filter::Error> for Error {
    fn from(_: filter::Error) -> Self {
        EINVAL
    }
}

impl From<record::Error> for Error {
    fn from(_: record::Error) -> Self {
        EINVAL
    }
}

/// An open file, which is a queue.
///
/// The fields are dropped in this order: the queue is closed before what it uses goes away.
pub(crate) struct File {
    queue: OwnedQueue<Producer>,
    readers: Arc<PollCondVarBox>,
    memory: SetOnce<(Arc<UserPages>, LockedMemory)>,
}

impl File {
    /// Allocates the ring, once.
    fn set_size(&self, pages: usize) -> Result {
        if !pages.is_power_of_two() || pages > uapi::MAX_PAGES {
            return Err(EINVAL);
        }
        if self.memory.as_ref().is_some() {
            return Err(EBUSY);
        }

        let charge = LockedMemory::charge(pages)?;
        // A memory cgroup that has too little is no reason to kill anybody.
        let flags = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
        let memory = Arc::new(UserPages::new(pages, flags)?, GFP_KERNEL_ACCOUNT)?;
        let slots = (memory.len() / SLOT_SIZE as usize) as u32;

        // Of two that come here at the same time the second finds the ring started.
        self.queue.lock().start(memory.clone(), slots)?;
        self.memory.populate((memory, charge));
        Ok(())
    }

    /// Sets the filter that is at an address of user space, or removes it for a null pointer.
    fn set_filter(&self, arg: usize) -> Result {
        if arg == 0 {
            self.queue.set_filter(None);
            return Ok(());
        }

        let arg = UserPtr::from_addr(arg);
        let mut header = UserSlice::new(arg, uapi::FILTER_HEADER).reader();
        let count = filter::count(header.read()?, header.read()?)?;

        let mut filter = KBox::new(Filter::new(), GFP_KERNEL_ACCOUNT)?;
        let arg = arg.wrapping_byte_add(uapi::FILTER_HEADER);
        let mut rules = UserSlice::new(arg, count * size_of::<uapi::Rule>()).reader();
        while !rules.is_empty() {
            filter.add(&rules.read::<uapi::Rule>()?, uapi::NR_TYPES)?;
        }
        self.queue.set_filter(Some(filter));
        Ok(())
    }

    /// Posts the record that is next in `iov`, if the filter lets it, and returns its length.
    fn inject(&self, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let mut first = [0; SLOT_SIZE as usize];
        copy_from_iter(iov, &mut first)?;

        let length = Header::from_slot(u64::from_ne_bytes(first)).len() as usize;
        let mut buffer = [0; (record::MAX_SLOTS * SLOT_SIZE) as usize];
        let bytes = buffer.get_mut(..length).ok_or(EINVAL)?;
        let (header, rest) = bytes.split_first_chunk_mut().ok_or(EINVAL)?;
        *header = first;
        copy_from_iter(iov, rest)?;
        Record::injected(bytes)?;

        if self.queue.wants(bytes) {
            self.queue.lock().post(bytes);
        }
        Ok(length)
    }
}

/// Fills `buffer`. Returns [`EINVAL`] if there is not that much.
fn copy_from_iter(iov: &mut IovIterSource<'_>, buffer: &mut [u8]) -> Result {
    if iov.len() < buffer.len() {
        return Err(EINVAL);
    }
    if iov.copy_from_iter(buffer) < buffer.len() {
        return Err(EFAULT);
    }
    Ok(())
}

#[vtable]
impl MiscDevice for File {
    type Ptr = KBox<Self>;

    fn open(_file: &fs::File, _misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
        let readers = PollCondVarBox::new(c"watch_queue", static_lock_class!())?;
        let readers = Arc::new(readers, GFP_KERNEL_ACCOUNT)?;
        let file = File {
            queue: OwnedQueue::new(Producer::new(readers.clone()))?,
            readers,
            memory: SetOnce::new(),
        };

        Ok(KBox::new(file, GFP_KERNEL_ACCOUNT)?)
    }

    fn mmap(me: &Self, file: &fs::File, vma: &VmaNew) -> Result {
        // The reader has to store its tail. A mapping that cannot do that has no use.
        if file.flags() & O_ACCMODE != O_RDWR {
            return Err(EACCES);
        }
        if vma.flags() & flags::SHARED == 0 || vma.pgoff() != 0 {
            return Err(EINVAL);
        }
        let (memory, _) = me.memory.as_ref().ok_or(EINVAL)?;

        vma.try_clear_mayexec().map_err(|_| EPERM)?;
        vma.set_dontexpand();
        vma.set_dontdump();
        memory.map(vma)
    }

    fn poll(me: &Self, file: &fs::File, table: PollTable<'_>) -> poll::Events {
        table.register_wait(file, &me.readers);

        match me.queue.lock().poll() {
            Some(Readiness::Readable) => Event::In | Event::RdNorm,
            Some(Readiness::Empty) => poll::Events::default(),
            Some(Readiness::Corrupt) | None => Event::Err.into(),
        }
    }

    fn ioctl(me: &Self, _file: &fs::File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            uapi::SET_SIZE => me.set_size(arg)?,
            uapi::SET_FILTER => me.set_filter(arg)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let me = kiocb.file();
        if !cfg!(CONFIG_WATCH_QUEUE_DEV_INJECT) {
            return Err(EOPNOTSUPP);
        }
        let (memory, _) = me.memory.as_ref().ok_or(ENOBUFS)?;

        // No more than the ring could hold, so that one call has an end.
        let mut written = me.inject(iov)?;
        while !iov.is_empty() && written < memory.len() {
            match me.inject(iov) {
                Ok(length) => written += length,
                Err(_) => break,
            }
        }
        Ok(written)
    }

    fn show_fdinfo(me: &Self, m: &SeqFile, _file: &fs::File) {
        let info = me.queue.lock().info();

        seq_print!(
            m,
            "size:\t{}\nhead:\t{}\ntail:\t{}\nlost:\t{}\n",
            info.slots as usize * SLOT_SIZE as usize / PAGE_SIZE,
            info.head,
            info.tail,
            info.lost,
        );
        me.queue.show_watches(m);
    }
}

impl watch_queue::Device for File {
    type Backend = Producer;

    fn queue<'a>(file: &'a Self) -> &'a Queue<Producer>
    where
        Self: 'a,
    {
        &file.queue
    }
}
