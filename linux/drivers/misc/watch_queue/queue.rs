// SPDX-License-Identifier: GPL-2.0

//! One queue, as the core sees it.

use super::{
    filter::Filter,
    record::{
        Record,
        META, //
    },
    ring::{
        Readiness,
        Ring,
        Status,
        Words, //
    },
};
use kernel::{
    mm::user_pages::UserPages,
    prelude::*,
    sync::{
        poll::PollCondVarBox,
        Arc, //
    },
    watch_queue::Backend, //
};

/// Where the records of a queue go.
enum Store {
    /// No size has been set yet: records are lost, and counted.
    Nowhere(Status),

    /// Into the ring that is kept in this memory.
    Ring(Ring, Arc<UserPages>),

    /// The file is gone.
    Closed,
}

/// The producer of a queue.
///
/// It shares the memory and the readers' wait queue with the file, which lets go of them only after
/// it has closed the queue. So nothing is freed here, with the queue's lock held.
pub(crate) struct Producer {
    store: Store,
    readers: Option<Arc<PollCondVarBox>>,
}

/// What fdinfo tells of a queue.
pub(crate) struct Info {
    /// Size of the ring in slots, 0 without one.
    pub(crate) slots: u32,

    /// Where the next record goes.
    pub(crate) head: u32,

    /// Where the reader is, if that is to be believed.
    pub(crate) tail: u32,

    /// Records lost since the queue was opened.
    pub(crate) lost: u64,
}

impl Producer {
    /// Creates the producer of a queue without a ring, which wakes these readers.
    pub(crate) fn new(readers: Arc<PollCondVarBox>) -> Self {
        Self {
            store: Store::Nowhere(Status::default()),
            readers: Some(readers),
        }
    }

    /// Starts the ring, in this memory of `slots` slots.
    ///
    /// Returns [`EBUSY`] if it was started before.
    pub(crate) fn start(&mut self, memory: Arc<UserPages>, slots: u32) -> Result {
        let Store::Nowhere(status) = self.store else {
            return Err(EBUSY);
        };
        let ring = Ring::new(slots, status).map_err(|_| EINVAL)?;

        ring.format(&*memory);
        self.store = Store::Ring(ring, memory);
        Ok(())
    }

    /// Tells how the reader stands, and stores a loss record that is due. [`None`] without a ring.
    pub(crate) fn poll(&mut self) -> Option<Readiness> {
        match &mut self.store {
            Store::Ring(ring, memory) => Some(ring.poll(&**memory)),
            Store::Nowhere(_) | Store::Closed => None,
        }
    }

    /// Posts a record that takes more than [`Ring::try_post`], as [`Backend::post`] does.
    #[inline(never)]
    fn post_otherwise(&mut self, record: &[u8]) -> bool {
        let record = Record::first(record);
        let wake = match (&mut self.store, record) {
            (Store::Ring(ring, memory), Ok(record)) => ring.post(&**memory, &record),
            // A source that got its record wrong; nothing is lost silently.
            (Store::Ring(ring, memory), Err(_)) => ring.lose(&**memory, META),
            (Store::Nowhere(status), record) => {
                status.lose(record.map_or(META, |record| record.header().kind));
                false
            }
            (Store::Closed, _) => false,
        };

        wake && self.is_awaited()
    }

    /// Returns whether a reader waits.
    ///
    /// One that begins to do so later finds the record: before it takes the queue's lock to look,
    /// it enters the wait queue.
    fn is_awaited(&self) -> bool {
        self.readers
            .as_ref()
            .is_some_and(|readers| readers.has_waiters())
    }

    /// Returns what fdinfo tells.
    pub(crate) fn info(&self) -> Info {
        match &self.store {
            Store::Ring(ring, memory) => Info {
                slots: ring.slots(),
                head: ring.head(),
                tail: memory.load_tail(),
                lost: ring.lost(),
            },
            Store::Nowhere(status) => Info {
                slots: 0,
                head: 0,
                tail: 0,
                lost: status.lost(),
            },
            Store::Closed => Info {
                slots: 0,
                head: 0,
                tail: 0,
                lost: 0,
            },
        }
    }
}

#[vtable]
impl Backend for Producer {
    type Filter = Filter;

    fn accept_types(filter: &Filter) -> u32 {
        filter.accept_types()
    }

    fn matches(filter: &Filter, record: &[u8]) -> bool {
        Record::first(record).is_ok_and(|record| filter.matches(record.header()))
    }

    // Into the callback of the core, which knows that the bytes start with a header.
    #[inline(always)]
    fn post(&mut self, record: &[u8]) -> bool {
        if let (Store::Ring(ring, memory), Ok(record)) = (&mut self.store, Record::first(record)) {
            if let Some(wake) = ring.try_post(&**memory, &record) {
                return wake && self.is_awaited();
            }
        }
        self.post_otherwise(record)
    }

    fn wake(&mut self) {
        if let Some(readers) = &self.readers {
            readers.notify_all();
        }
    }

    fn unread(&mut self) -> Option<u32> {
        match &self.store {
            Store::Ring(ring, memory) => ring.unread(&**memory),
            Store::Nowhere(_) | Store::Closed => None,
        }
    }

    fn lose(&mut self, kind: u32) {
        match &mut self.store {
            Store::Ring(ring, memory) => {
                if ring.lose(&**memory, kind) {
                    self.wake();
                }
            }
            Store::Nowhere(status) => status.lose(kind),
            Store::Closed => (),
        }
    }

    fn lost(&mut self) {
        match &mut self.store {
            Store::Ring(ring, memory) => ring.withhold(&**memory),
            Store::Nowhere(status) => status.withhold(),
            Store::Closed => (),
        }
    }

    fn close(&mut self) {
        self.store = Store::Closed;
        self.readers = None;
    }
}
