// SPDX-License-Identifier: GPL-2.0

//! The words of the ring in the memory that user space maps.

use super::{
    record::{
        halves,
        Record,
        SLOT_SIZE, //
    },
    ring::Words,
    uapi, //
};
use kernel::{
    mm::user_pages::UserPages,
    sync::{
        atomic::{
            Acquire,
            Relaxed,
            Release, //
        },
        barrier::{
            smp_mb,
            Full, //
        }, //
    },
};

/// None of the offsets is outside the memory, which has at least a page and as many slots as the
/// ring was told. All accesses are single loads and stores, which user space cannot hold up.
impl Words for UserPages {
    #[inline]
    fn store_slot(&self, slot: u32, value: u64) {
        let offset = slot as usize * SLOT_SIZE as usize;

        if cfg!(CONFIG_64BIT) {
            if let Some(word) = self.u64_at(offset) {
                word.store(value, Relaxed);
            }
        } else {
            let (first, second) = halves(value);
            if let (Some(one), Some(other)) = (self.u32_at(offset), self.u32_at(offset + 4)) {
                one.store(first, Relaxed);
                other.store(second, Relaxed);
            }
        }
    }

    #[inline(always)]
    fn store_record(&self, first: u32, record: &Record<'_>) {
        // What does not lie inside is not stored, as above.
        let _ = self.store_bytes(first as usize * SLOT_SIZE as usize, record.bytes());
    }

    #[inline]
    fn publish_head(&self, head: u32) -> u32 {
        let (Some(shared_head), Some(tail)) = (self.u32_at(uapi::HEAD), self.u32_at(uapi::TAIL))
        else {
            return 0;
        };

        // Not an exchange: where that is a loop, whoever keeps writing to the cache line could keep
        // the kernel in it.
        shared_head.store(head, Release);
        smp_mb(Full);
        tail.load(Acquire)
    }

    #[inline]
    fn load_tail(&self) -> u32 {
        self.u32_at(uapi::TAIL).map_or(0, |word| word.load(Acquire))
    }
}
