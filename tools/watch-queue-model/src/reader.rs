// SPDX-License-Identifier: GPL-2.0

//! The reader as `Documentation/userspace-api/watch_queue/device.rst` wants it.

use crate::record::{
    self,
    Header, //
};

/// The reader's view of the shared words.
pub(crate) trait View {
    /// Loads `head` (acquire).
    fn load_head(&self) -> u32;

    /// Loads `lost` (relaxed).
    fn load_lost(&self) -> u64;

    /// Loads a slot.
    fn load_slot(&self, slot: u32) -> u64;

    /// Stores `tail` (release).
    fn store_tail(&self, tail: u32);

    /// Issues a full fence.
    fn fence(&self);
}

/// The reader of a ring.
pub(crate) struct Reader {
    tail: u32,
    mask: u32,
    lost: u64,
}

impl Reader {
    /// Makes a reader that starts at `tail`, of a ring of `slots` slots.
    pub(crate) fn new(tail: u32, slots: u32) -> Self {
        Self {
            tail,
            mask: slots - 1,
            lost: 0,
        }
    }

    /// Takes the next record, slot by slot, stepping over SKIP records.
    pub(crate) fn take(&mut self, view: &impl View) -> Option<Vec<u64>> {
        let head = view.load_head();

        while self.tail != head {
            let slot = self.tail & self.mask;
            let header = Header::from_slot(view.load_slot(slot));
            let slots = record::slots(header.len());
            let skip = header.kind == record::META && header.subtype == record::SKIP;

            assert!(slots != 0, "record without a length in slot {slot}");
            assert!(head.wrapping_sub(self.tail) <= self.mask + 1);
            let values =
                (!skip).then(|| (slot..slot + slots).map(|at| view.load_slot(at)).collect());

            self.tail = self.tail.wrapping_add(slots);
            view.store_tail(self.tail);
            if values.is_some() {
                return values;
            }
        }
        None
    }

    /// Returns how many records were lost, as far as is known.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns whether the reader may go to sleep: there is no record and no loss that it does not
    /// know of, and it will be woken for the next.
    pub(crate) fn may_sleep(&mut self, view: &impl View) -> bool {
        view.fence();

        let lost = std::mem::replace(&mut self.lost, view.load_lost());

        view.load_head() == self.tail && lost == self.lost
    }
}
