// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of a queue in real memory.

#[kernel::macros::kunit_tests(watch_queue_queue)]
mod cases {
    use super::super::{
        queue::Producer,
        record::{
            Header,
            LOSS,
            META, //
        },
        ring::{
            Readiness,
            Words,
            HEADER_SLOTS, //
        },
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
            delay::fsleep,
            Delta, //
        },
        watch_queue::{
            Backend,
            OwnedQueue, //
        },
        workqueue,
    };

    const SLOTS: u32 = (PAGE_SIZE / 8) as u32;

    /// A queue with a ring of one page, and its reader.
    ///
    /// The fields are dropped in this order, as those of a file: the queue is closed before what it
    /// uses goes away.
    #[derive(Clone)]
    struct Fixture {
        queue: Arc<OwnedQueue<Producer>>,
        _readers: Arc<PollCondVarBox>,
        memory: Arc<UserPages>,
    }

    /// A record of two slots with a number in it.
    fn record(number: u64) -> [u8; 16] {
        let header = Header {
            kind: 1,
            subtype: 0,
            info: 16,
        };
        let mut bytes = [0; 16];
        let (first, second) = bytes.split_at_mut(8);

        first.copy_from_slice(&header.to_slot().to_ne_bytes());
        second.copy_from_slice(&number.to_ne_bytes());
        bytes
    }

    impl Fixture {
        fn new() -> Result<Self> {
            let f = Self::not_started()?;

            f.start(SLOTS)?;
            Ok(f)
        }

        fn not_started() -> Result<Self> {
            let readers = PollCondVarBox::new(c"watch_queue_test", static_lock_class!())?;
            let readers = Arc::new(readers, GFP_KERNEL)?;
            let queue = OwnedQueue::new(Producer::new(readers.clone()))?;

            Ok(Self {
                queue: Arc::new(queue, GFP_KERNEL)?,
                _readers: readers,
                memory: Arc::new(UserPages::new(1, GFP_KERNEL)?, GFP_KERNEL)?,
            })
        }

        fn start(&self, slots: u32) -> Result {
            self.queue.lock().start(self.memory.clone(), slots)
        }

        fn slot(&self, index: u32) -> u64 {
            let word = self.memory.u64_at((index % SLOTS) as usize * 8);

            word.map_or(0, |word| word.load(Relaxed))
        }

        fn head(&self) -> u32 {
            let word = self.memory.u32_at(uapi::HEAD);

            word.map_or(0, |word| word.load(Acquire))
        }

        fn set_tail(&self, tail: u32) {
            if let Some(word) = self.memory.u32_at(uapi::TAIL) {
                word.store(tail, Release);
            }
        }

        /// Takes the next record that is no padding: its header and its second slot.
        fn take(&self) -> Option<(Header, u64)> {
            let mut tail = self.memory.load_tail();

            while tail != self.head() {
                let header = Header::from_slot(self.slot(tail));
                let value = self.slot(tail.wrapping_add(1));
                tail = tail.wrapping_add(header.len().div_ceil(8));
                self.set_tail(tail);
                if header.kind != META || header.subtype == LOSS {
                    return Some((header, value));
                }
            }
            None
        }

        fn poll(&self) -> Option<Readiness> {
            self.queue.lock().poll()
        }
    }

    #[test]
    fn posts_and_reads() -> Result {
        let f = Fixture::new()?;
        assert_eq!(f.head(), HEADER_SLOTS);
        assert!(f.poll() == Some(Readiness::Empty));

        assert!(f.queue.lock().unread().is_none());
        // Nobody waits.
        assert!(!f.queue.lock().post(&record(7)));
        assert_eq!(f.queue.lock().unread(), Some(HEADER_SLOTS + 2));
        assert!(f.poll() == Some(Readiness::Readable));
        assert_eq!(f.head(), HEADER_SLOTS + 2);
        assert!(matches!(f.take(), Some((Header { kind: 1, .. }, 7))));
        assert!(f.poll() == Some(Readiness::Empty));
        assert!(f.queue.lock().unread().is_none());
        Ok(())
    }

    #[test]
    fn starts_once() -> Result {
        let f = Fixture::new()?;
        assert!(f.start(SLOTS) == Err(EBUSY));
        Ok(())
    }

    #[test]
    fn refuses_sizes() -> Result {
        let f = Fixture::not_started()?;
        assert!(f.start(SLOTS - 1) == Err(EINVAL));
        assert!(f.start(SLOTS).is_ok());
        Ok(())
    }

    #[test]
    fn tells_what_was_lost_before_the_start() -> Result {
        let f = Fixture::not_started()?;
        assert!(f.poll().is_none());
        f.queue.lock().post(&record(1));
        f.queue.lock().post(&record(2));
        assert_eq!(f.queue.lock().info().lost, 2);

        f.start(SLOTS)?;
        f.queue.lock().post(&record(3));
        assert!(matches!(f.take(), Some((Header { subtype: LOSS, .. }, 2))));
        assert!(matches!(f.take(), Some((Header { kind: 1, .. }, 3))));
        Ok(())
    }

    #[test]
    fn overruns_and_recovers() -> Result {
        let f = Fixture::new()?;
        let fits = u64::from((SLOTS - HEADER_SLOTS) / 2);
        for number in 0..fits + 10 {
            f.queue.lock().post(&record(number));
        }
        let lost = f.queue.lock().info().lost;
        assert!(lost >= 10);

        for number in 0..fits + 10 - lost {
            assert!(matches!(f.take(), Some((_, n)) if n == number));
        }
        assert!(f.take().is_none());

        // All has been read, so that the loss is told without another post.
        assert!(f.poll() == Some(Readiness::Readable));
        assert!(matches!(f.take(), Some((Header { kind: META, .. }, n)) if n == lost));
        assert!(f.poll() == Some(Readiness::Empty));
        Ok(())
    }

    #[test]
    fn survives_any_tail() -> Result {
        let f = Fixture::new()?;
        for (lost, ahead) in (1..).zip([1, SLOTS, 1 << 31, (SLOTS + 1).wrapping_neg()]) {
            let head = f.head();
            f.set_tail(head.wrapping_add(ahead));
            assert!(f.poll() == Some(Readiness::Corrupt));
            f.queue.lock().post(&record(0));
            assert_eq!(f.queue.lock().info().lost, lost);
            assert_eq!(f.head(), head);

            f.set_tail(head);
            assert!(f.poll() == Some(Readiness::Readable));
            assert!(matches!(f.take(), Some((Header { subtype: LOSS, .. }, 1))));
            assert!(f.poll() == Some(Readiness::Empty));
        }

        // As far behind as can be, the ring is full and not corrupt.
        f.set_tail(f.head().wrapping_sub(SLOTS));
        assert!(f.poll() == Some(Readiness::Readable));
        Ok(())
    }

    #[test]
    fn believes_nothing_but_tail() -> Result {
        let f = Fixture::new()?;
        for slot in 0..SLOTS {
            if slot != 8 {
                if let Some(word) = f.memory.u64_at(slot as usize * 8) {
                    word.store(u64::MAX, Relaxed);
                }
            }
        }
        f.queue.lock().post(&record(5));
        assert_eq!(f.head(), HEADER_SLOTS + 2);
        assert!(matches!(f.take(), Some((Header { kind: 1, .. }, 5))));
        Ok(())
    }

    #[test]
    fn closes() -> Result {
        let f = Fixture::new()?;
        f.queue.lock().close();
        f.queue.lock().post(&record(1));
        assert_eq!(f.head(), HEADER_SLOTS);
        assert!(f.poll().is_none());
        assert_eq!(f.queue.lock().info().slots, 0);
        Ok(())
    }

    #[test]
    fn posts_while_it_is_read() -> Result {
        const RECORDS: u64 = 20_000;
        let f = Fixture::new()?;
        let producer = f.clone();

        workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
            // All of it, so that it is dropped in order.
            let producer = &producer;

            for number in 0..RECORDS {
                producer.queue.lock().post(&record(number));
                if number % 64 == 0 {
                    fsleep(Delta::from_micros(20));
                }
            }
        })?;

        // Every record comes in order, or a loss record stands for just those that are missing.
        let mut expected = 0;
        let mut idle = 0;
        while expected < RECORDS && idle < 500_000 {
            match f.take() {
                Some((Header { kind: META, .. }, lost)) => expected += lost,
                Some((_, number)) => {
                    assert_eq!(number, expected);
                    expected += 1;
                }
                None => {
                    idle += 1;
                    fsleep(Delta::from_micros(20));
                    let _ = f.poll();
                }
            }
        }
        assert_eq!(expected, RECORDS);
        assert!(f.take().is_none());
        Ok(())
    }
}
