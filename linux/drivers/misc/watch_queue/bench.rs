// SPDX-License-Identifier: GPL-2.0

//! How long it takes to post and to take records, by the clock of the machine this runs on.

#[kernel::macros::kunit_tests(watch_queue_bench)]
mod cases {
    use super::super::{
        queue::Producer,
        record::Header,
        ring::Words,
        uapi, //
    };
    use kernel::{
        mm::user_pages::UserPages,
        page::PAGE_SIZE,
        prelude::*,
        static_lock_class,
        sync::{
            atomic::{
                Acquire,
                Relaxed,
                Release, //
            },
            poll::PollCondVarBox,
            Arc, //
        },
        time::{
            Delta,
            Instant,
            Monotonic, //
        },
        watch_queue::{
            Backend,
            OwnedQueue, //
        },
    };

    const BURST: u32 = 100;
    const BURSTS: u32 = 10_000;

    /// Takes what is in the ring as a process does, and returns how many records it was.
    fn take(memory: &UserPages) -> u32 {
        let mask = (memory.len() / 8 - 1) as u32;
        let head = memory
            .u32_at(uapi::HEAD)
            .map_or(0, |word| word.load(Acquire));
        let mut tail = memory.load_tail();
        let mut records = 0;

        while tail != head {
            let slot = memory.u64_at((tail & mask) as usize * 8);
            let header = Header::from_slot(slot.map_or(0, |word| word.load(Relaxed)));

            records += u32::from(header.kind != 0);
            tail = tail.wrapping_add(header.len().div_ceil(8));
        }
        if let Some(word) = memory.u32_at(uapi::TAIL) {
            word.store(tail, Release);
        }
        records
    }

    /// Records of 24 bytes in bursts, to a ring of 16 pages that has room for each burst.
    #[test]
    fn bursts() -> Result {
        let readers = PollCondVarBox::new(c"watch_queue_bench", static_lock_class!())?;
        let readers = Arc::new(readers, GFP_KERNEL)?;
        let memory = Arc::new(UserPages::new(16, GFP_KERNEL)?, GFP_KERNEL)?;
        let queue = OwnedQueue::new(Producer::new(readers.clone()))?;
        let header = Header {
            kind: 1,
            subtype: 0,
            info: 24,
        };
        let mut record = [0; 24];
        let (mut posting, mut taking) = (Delta::ZERO, Delta::ZERO);

        for (to, from) in record.iter_mut().zip(header.to_slot().to_ne_bytes()) {
            *to = from;
        }
        queue
            .lock()
            .start(memory.clone(), (16 * PAGE_SIZE / 8) as u32)?;
        for _ in 0..BURSTS {
            let begin = Instant::<Monotonic>::now();
            for _ in 0..BURST {
                queue.lock().post(&record);
            }
            posting += begin.elapsed();

            let begin = Instant::<Monotonic>::now();
            assert_eq!(take(&memory), BURST);
            taking += begin.elapsed();
        }
        pr_info!(
            "watch_queue_bench: {} records: post {} us, take {} us\n",
            BURSTS * BURST,
            posting.as_micros_ceil(),
            taking.as_micros_ceil(),
        );

        // The queue is closed before the wait queue of its readers goes away.
        drop(queue);
        Ok(())
    }
}
