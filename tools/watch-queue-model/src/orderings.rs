// SPDX-License-Identifier: GPL-2.0

//! A producer and a reader in two threads, under a model checker for memory orderings.
//!
//! Records lie in cells of which a racing access is an error. A reader that has read all goes to
//! sleep as the documentation says; one that is never woken is a deadlock, and an error too. Each
//! ordering that the driver or the documentation asks for is then left out in turn, and the
//! checker has to find the fault.

use crate::{
    reader::{
        Reader,
        View, //
    },
    record::{
        self,
        Header,
        Record, //
    },
    ring::{
        Ring,
        Status,
        Words,
        HEADER_SLOTS, //
    },
};
use loom::{
    cell::UnsafeCell,
    model::Builder,
    sync::{
        atomic::{
            fence,
            AtomicU32,
            AtomicU64,
            Ordering, //
        },
        Notify, //
    },
    thread, //
};
use std::{
    cell::Cell,
    sync::Arc, //
};

const SLOTS: u32 = 64;

/// What is left out.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// The producer's look at `tail` after it has published `head`: it looks before.
    LastLook,
    /// The full barrier of publish_head().
    Barrier,
    /// The release of publish_head().
    HeadRelease,
    /// The acquire of load_tail().
    TailAcquire,
    /// The reader's fence before it goes to sleep.
    ReaderFence,
    /// The reader's acquire of `head`.
    HeadAcquire,
    /// The reader's release of `tail`.
    TailRelease,
}

struct Shared {
    head: AtomicU32,
    tail: AtomicU32,
    lost: AtomicU64,
    slots: Vec<UnsafeCell<u64>>,
    wake_up: Notify,
}

// SAFETY: The checker sees to it that no access to a cell races with another.
unsafe impl Sync for Shared {}

/// One side's access to the shared words.
struct Side {
    shared: Arc<Shared>,
    flaw: Flaw,
    /// `tail` as it was before `head` was published, until the look after it.
    before: Cell<Option<u32>>,
}

impl Side {
    fn new(shared: &Arc<Shared>, flaw: Flaw) -> Self {
        Self {
            shared: shared.clone(),
            flaw,
            before: Cell::new(None),
        }
    }

    fn unless(&self, flaw: Flaw, ordering: Ordering) -> Ordering {
        if self.flaw == flaw {
            Ordering::Relaxed
        } else {
            ordering
        }
    }

    fn post(&self, ring: &mut Ring, len: u32, seed: u64) {
        let bytes = bytes(len, seed);
        let record = Record::first(&bytes).unwrap();

        if ring.post(self, &record) {
            self.shared.wake_up.notify();
        }
    }
}

impl Words for Side {
    fn store_slot(&self, slot: u32, value: u64) {
        match slot {
            2 => self.shared.lost.store(value, Ordering::Relaxed),
            // The flags matter to nobody here.
            3 => (),
            // SAFETY: The pointer is valid, and the checker finds races.
            _ => self.shared.slots[slot as usize].with_mut(|cell| unsafe { *cell = value }),
        }
    }

    fn publish_head(&self, head: u32) -> u32 {
        let release = self.unless(Flaw::HeadRelease, Ordering::Release);

        if self.flaw == Flaw::LastLook {
            self.before.set(Some(self.load_tail()));
        }
        self.shared.head.store(head, release);
        if self.flaw != Flaw::Barrier {
            fence(Ordering::SeqCst);
        }
        self.load_tail()
    }

    fn load_tail(&self) -> u32 {
        let acquire = self.unless(Flaw::TailAcquire, Ordering::Acquire);

        self.before
            .take()
            .unwrap_or_else(|| self.shared.tail.load(acquire))
    }
}

impl View for Side {
    fn load_head(&self) -> u32 {
        let acquire = self.unless(Flaw::HeadAcquire, Ordering::Acquire);

        self.shared.head.load(acquire)
    }

    fn load_lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    fn load_slot(&self, slot: u32) -> u64 {
        // SAFETY: The pointer is valid, and the checker finds races.
        self.shared.slots[slot as usize].with(|cell| unsafe { *cell })
    }

    fn store_tail(&self, tail: u32) {
        let release = self.unless(Flaw::TailRelease, Ordering::Release);

        self.shared.tail.store(tail, release);
    }

    fn fence(&self) {
        if self.flaw != Flaw::ReaderFence {
            fence(Ordering::SeqCst);
        }
    }
}

fn bytes(len: u32, seed: u64) -> Vec<u8> {
    let header = Header {
        kind: 1,
        subtype: 0,
        info: len,
    };
    let mut bytes = header.to_slot().to_ne_bytes().to_vec();

    while bytes.len() < len as usize {
        bytes.extend(seed.to_ne_bytes());
    }
    bytes
}

/// Posts `before` records of `len` bytes, then `during` more while a reader waits for them all.
///
/// A record has arrived when the reader has it or knows that it was lost.
fn run(flaw: Flaw, len: u32, before: u64, during: u64) {
    let mut builder = Builder::new();

    builder.preemption_bound = Some(3);
    builder.check(move || {
        let shared = Arc::new(Shared {
            head: AtomicU32::new(HEADER_SLOTS),
            tail: AtomicU32::new(HEADER_SLOTS),
            lost: AtomicU64::new(0),
            slots: (0..SLOTS)
                .map(|slot| {
                    UnsafeCell::new(if slot == 0 {
                        record::skip(HEADER_SLOTS)
                    } else {
                        0
                    })
                })
                .collect(),
            wake_up: Notify::new(),
        });
        let mut ring = Ring::new(SLOTS, Status::default()).unwrap();
        let producer = Side::new(&shared, flaw);

        for seed in 0..before {
            producer.post(&mut ring, len, seed);
        }
        let producer = thread::spawn(move || {
            for seed in before..before + during {
                producer.post(&mut ring, len, seed);
            }
        });

        let view = Side::new(&shared, flaw);
        let mut reader = Reader::new(HEADER_SLOTS, SLOTS);
        let mut taken = 0;
        let mut next = 0;

        loop {
            while let Some(values) = reader.take(&view) {
                if Header::from_slot(values[0]).kind == record::META {
                    continue;
                }
                // In order, and whole.
                let seed = values[1];

                assert!(seed >= next);
                assert!(values[1..].iter().all(|value| *value == seed));
                next = seed + 1;
                taken += 1;
            }
            if !reader.may_sleep(&view) {
                continue;
            }
            if taken + reader.lost() == before + during {
                break;
            }
            shared.wake_up.wait();
        }
        producer.join().unwrap();
    });
}

/// Two records for a reader that sleeps when there is none.
fn sleep(flaw: Flaw) {
    run(flaw, 16, 0, 2);
}

/// A record that lies where the reader has just taken one, or is lost.
fn overwrite(flaw: Flaw) {
    run(flaw, 120, 3, 1);
}

/// Two records for a ring that is full at first.
fn overrun(flaw: Flaw) {
    run(flaw, 120, 3, 2);
}

#[test]
fn every_record_wakes_a_sleeper() {
    sleep(Flaw::None);
}

#[test]
fn nothing_is_overwritten_before_it_is_taken() {
    overwrite(Flaw::None);
}

#[test]
fn every_loss_wakes_a_sleeper() {
    overrun(Flaw::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_last_look_a_wake_up_is_lost() {
    sleep(Flaw::LastLook);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_last_look_a_loss_goes_unseen() {
    overrun(Flaw::LastLook);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_barrier_a_wake_up_is_lost() {
    sleep(Flaw::Barrier);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_fence_of_the_reader_a_wake_up_is_lost() {
    sleep(Flaw::ReaderFence);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_release_of_head_a_record_is_torn() {
    sleep(Flaw::HeadRelease);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_acquire_of_head_a_record_is_torn() {
    sleep(Flaw::HeadAcquire);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_release_of_tail_a_record_is_overwritten() {
    overwrite(Flaw::TailRelease);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_acquire_of_tail_a_record_is_overwritten() {
    overwrite(Flaw::TailAcquire);
}
