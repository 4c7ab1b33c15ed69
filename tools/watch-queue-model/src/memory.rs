// SPDX-License-Identifier: GPL-2.0

//! A ring in ordinary memory that watches over what the producer stores.

use crate::{
    reader::View,
    record::{
        halves,
        pair, //
    },
    ring::{
        Words,
        HEADER_SLOTS, //
    },
};
use std::{
    cell::Cell,
    ops::Range, //
};

/// The slots that the producer goes on writing once the header stands: `lost`, `version` and `flags`.
const STATUS_SLOTS: Range<u32> = 2..4;

/// The memory of a ring.
pub(crate) struct Memory {
    slots: Vec<Cell<u64>>,
    /// Where the producer may store: from which index on, and how many slots.
    free: Cell<Option<(u32, u32)>>,
}

impl Memory {
    /// Makes a ring of `slots` slots, full of rubbish, in which all may be stored to.
    pub(crate) fn new(slots: u32) -> Self {
        Self {
            slots: (0..slots).map(|slot| Cell::new(!u64::from(slot))).collect(),
            free: Cell::new(None),
        }
    }

    /// From now on the producer may only store to `count` slots from index `first` on.
    pub(crate) fn allow(&self, first: u32, count: u32) {
        self.free.set(Some((first, count)));
    }

    /// The number of slots.
    pub(crate) fn size(&self) -> u32 {
        self.slots.len() as u32
    }

    /// What user space finds in a slot.
    pub(crate) fn get(&self, slot: u32) -> u64 {
        self.slots[slot as usize].get()
    }

    /// Stores what user space wants to.
    pub(crate) fn scribble(&self, slot: u32, value: u64) {
        self.slots[slot as usize].set(value);
    }

    /// Stores `tail`.
    pub(crate) fn set_tail(&self, tail: u32) {
        self.scribble(8, pair(tail, halves(self.get(8)).1));
    }

    /// Loads `tail`.
    pub(crate) fn tail(&self) -> u32 {
        halves(self.get(8)).0
    }
}

impl Words for Memory {
    fn store_slot(&self, slot: u32, value: u64) {
        if let Some((first, count)) = self.free.get() {
            let ahead = slot.wrapping_sub(first) % self.size();

            assert!(
                STATUS_SLOTS.contains(&slot) || slot >= HEADER_SLOTS && ahead < count,
                "stored to slot {slot}, free are {count} from {first}"
            );
        }
        self.slots[slot as usize].set(value);
    }

    fn publish_head(&self, head: u32) -> u32 {
        self.scribble(1, pair(head, halves(self.get(1)).1));
        self.load_tail()
    }

    fn load_tail(&self) -> u32 {
        self.tail()
    }
}

impl View for Memory {
    fn load_head(&self) -> u32 {
        halves(self.get(1)).0
    }

    fn load_lost(&self) -> u64 {
        self.get(2)
    }

    fn load_slot(&self, slot: u32) -> u64 {
        self.get(slot)
    }

    fn store_tail(&self, tail: u32) {
        self.set_tail(tail);
    }

    fn fence(&self) {}
}
