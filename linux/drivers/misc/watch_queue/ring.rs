// SPDX-License-Identifier: GPL-2.0

//! The producer's side of the ring that user space maps.
//!
//! [`Ring`] is a state machine that keeps the truth to itself: where the next record goes, what was
//! lost and what the reader knows of it. The shared words, behind [`Words`], get copies. One of
//! them is read back, `tail`, and it is believed only while it lies within the ring behind `head`.
//!
//! The layout is `struct watch_queue_ring` of the UAPI header. The other side of each ordering
//! here is the reader that `Documentation/userspace-api/watch_queue/device.rst` describes: it loads
//! `head` (acquire), takes the records up to it, stores `tail` (release), fences, loads `head` and
//! `lost` again, and sleeps only if the first equals `tail` and the second is what it knew.

use super::record::{
    self,
    Record,
    LOSS_SLOTS,
    MAX_SLOTS, //
};

/// Slots of `struct watch_queue_ring`, which is a SKIP record as well.
pub(crate) const HEADER_SLOTS: u32 = 9;

/// Fewest slots of a ring.
pub(crate) const MIN_SLOTS: u32 = 64;

/// `WATCH_QUEUE_RING_VERSION`.
pub(crate) const VERSION: u32 = 1;

/// `WATCH_QUEUE_RING_OVERRUN`: records were lost that no loss record tells of yet.
pub(crate) const OVERRUN: u32 = 1 << 0;

/// `WATCH_QUEUE_RING_CORRUPT`: `tail` did not lie within the ring when last looked at.
pub(crate) const CORRUPT: u32 = 1 << 1;

/// `WATCH_QUEUE_RING_POLICY`: the security policy withheld records; never cleared.
pub(crate) const POLICY: u32 = 1 << 2;

/// The slot that `lost` fills.
const LOST_SLOT: u32 = 2;

/// The slot that `version` and `flags` share.
const FLAGS_SLOT: u32 = 3;

// An empty ring has room for a loss record and one of the largest size, wherever `head` stands.
const _: () = assert!(MIN_SLOTS >= LOSS_SLOTS + (MAX_SLOTS - 1) + HEADER_SLOTS + MAX_SLOTS);

/// The words that are shared with user space.
pub(crate) trait Words {
    /// Stores a slot, relaxed, as one word or as its two halves.
    ///
    /// `slot` is less than the number of slots that the ring was made with.
    fn store_slot(&self, slot: u32, value: u64);

    /// Stores the slots of a record in the slots from `first` on, as [`Words::store_slot`] would.
    ///
    /// All of them are less than the number of slots that the ring was made with.
    #[inline]
    fn store_record(&self, first: u32, record: &Record<'_>) {
        for (slot, value) in (first..).zip(record.values()) {
            self.store_slot(slot, value);
        }
    }

    /// Stores the shared `head` (release), issues a full barrier and loads the shared `tail`
    /// (acquire, as [`Words::load_tail`]).
    ///
    /// The release pairs with the reader's acquiring load of `head`: it finds all that was stored
    /// before. The barrier orders all stores before the load of `tail`, and pairs with the
    /// reader's fence between its last store of `tail` and its last loads of `head` and `lost`.
    fn publish_head(&self, head: u32) -> u32;

    /// Loads the shared `tail` (acquire).
    ///
    /// Pairs with the reader's releasing store of `tail`: what it has taken may be overwritten.
    fn load_tail(&self) -> u32;
}

/// What there is to know about a queue besides its records; exists before it has a ring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    /// Records lost, ever.
    lost: u64,

    /// Those of them that a loss record was stored for.
    told: u64,

    /// The types of the others.
    types: u32,

    /// [`OVERRUN`], [`CORRUPT`] and [`POLICY`].
    flags: u32,
}

impl Status {
    /// Counts a record of type `kind` as lost.
    pub(crate) fn lose(&mut self, kind: u32) {
        self.lost = self.lost.wrapping_add(1);
        self.types |= record::type_bit(kind);
        self.flags |= OVERRUN;
    }

    /// Notes that the security policy withheld a record: not which, nor how many.
    pub(crate) fn withhold(&mut self) {
        self.flags |= POLICY;
    }

    /// Returns how many records were lost since the queue was opened.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns whether one of these flags is up.
    fn is(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Returns the loss record that is due, which then counts as told.
    fn tell(&mut self) -> [u64; LOSS_SLOTS as usize] {
        let record = record::loss(self.lost.wrapping_sub(self.told), self.types);

        self.told = self.lost;
        self.types = 0;
        self.flags &= !OVERRUN;
        record
    }
}

/// What the reader may be told by `poll()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// All has been read.
    Empty,

    /// There is something to read.
    Readable,

    /// `tail` does not lie within the ring.
    Corrupt,
}

/// The number of slots is not a power of two or is below [`MIN_SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadSize;

/// The producer of a ring.
///
/// Indices count slots and run freely modulo 2^32.
///
/// # Invariants
///
/// - `mask + 1` is a power of two and at least [`MIN_SLOTS`].
/// - `head & mask` is 0 or at least [`HEADER_SLOTS`].
/// - The `room` slots from `head` on lie within the ring, behind the header, and were free when
///   `tail` was last loaded to find room. There are none while [`OVERRUN`] or [`CORRUPT`] is up.
///
/// What makes a post exclusive also orders its stores after that load, which an earlier post did.
pub(crate) struct Ring {
    head: u32,
    mask: u32,
    room: u32,
    status: Status,
}

impl Ring {
    /// Makes the producer of a ring of `slots` slots, which takes over what the queue has to tell.
    pub(crate) fn new(slots: u32, status: Status) -> Result<Self, BadSize> {
        if !slots.is_power_of_two() || slots < MIN_SLOTS {
            return Err(BadSize);
        }

        // INVARIANT: Checked above; and `MIN_SLOTS` is more than `HEADER_SLOTS`.
        Ok(Self {
            head: HEADER_SLOTS,
            mask: slots.wrapping_sub(1),
            room: 0,
            status,
        })
    }

    /// Stores the header, before user space can map the ring.
    pub(crate) fn format(&self, words: &impl Words) {
        let header = [
            record::skip(HEADER_SLOTS),
            record::pair(self.head, self.mask),
            0,
            0,
            0,
            0,
            0,
            0,
            record::pair(self.head, 0),
        ];

        self.store_slots(words, 0, header);
        self.publish_status(words);
    }

    /// Posts a record, or counts it as lost if there is no room for it.
    ///
    /// A loss record that is due goes first; without room for both neither is stored.
    #[must_use = "tells whether to wake the reader"]
    pub(crate) fn post(&mut self, words: &impl Words, record: &Record<'_>) -> bool {
        self.try_post(words, record)
            .unwrap_or_else(|| self.post_anywhere(words, record))
    }

    /// Does the same in the way that is the shortest and nearly always there: the record fills
    /// whole slots, and there is room for it that is known of. Otherwise does nothing and returns
    /// [`None`].
    #[inline(always)]
    #[must_use = "tells whether it was posted, and whether to wake the reader"]
    pub(crate) fn try_post(&mut self, words: &impl Words, record: &Record<'_>) -> Option<bool> {
        let slots = record.whole_slots()?;
        // INVARIANT: What `head` will have been moved by is no room any more.
        self.room = self.room.checked_sub(slots)?;
        let before = self.head;
        let after = before.wrapping_add(slots);
        let others = self.mask.wrapping_sub(slots);

        words.store_record(before & self.mask, record);

        let tail = self.publish(words, after);

        // The reader is busy if `tail` lies in the ring behind `before`: most often it does.
        if before.wrapping_sub(tail).wrapping_sub(1) <= others {
            return Some(false);
        }
        // It takes a record as a whole: this one not at all, or by now.
        if tail != before && tail != after {
            self.toggle_corrupt(words);
            return Some(true);
        }
        Some(tail == before)
    }

    /// Posts a record whatever there may be in the way, and finds out how much room there is.
    fn post_anywhere(&mut self, words: &impl Words, record: &Record<'_>) -> bool {
        let flags = self.status.flags;
        let tail = words.load_tail();
        let free = self.free(words, tail);

        // A corrupt `tail` leaves `None`, which is less than any need.
        if free < Some(self.needed(record.slots())) {
            return self.count_lost(words, record.header().kind, flags);
        }

        let at = self.store_loss(words);
        let end = self.store(words, at, record.slots(), record.values());

        let before = self.head;

        // INVARIANT: As for `tail`, which was sane, and for `end`, where `head` goes now.
        self.room = self.room_at(end, tail);
        self.publish(words, end) == before
    }

    /// Counts a record of type `kind` as lost that could not even be made.
    #[must_use = "tells whether to wake the reader"]
    pub(crate) fn lose(&mut self, words: &impl Words, kind: u32) -> bool {
        self.count_lost(words, kind, self.status.flags)
    }

    /// Tells the reader that the security policy withheld records, without a wake-up or a count.
    pub(crate) fn withhold(&mut self, words: &impl Words) {
        if !self.status.is(POLICY) {
            self.status.withhold();
            self.publish_status(words);
        }
    }

    /// Stores the loss record that is due, if a record of any size would still fit after it, and
    /// tells how the reader stands.
    ///
    /// No barrier is needed between this and a reader that then sleeps: whatever makes `self`
    /// exclusive orders this against posts. One before it has moved `head`, one after it finds the
    /// reader's `tail`.
    pub(crate) fn poll(&mut self, words: &impl Words) -> Readiness {
        let tail = words.load_tail();
        let free = self.free(words, tail);

        if free.is_none() {
            return Readiness::Corrupt;
        }
        if self.status.is(OVERRUN) {
            self.poll_loss(words, free);
        }
        if self.head == tail {
            Readiness::Empty
        } else {
            Readiness::Readable
        }
    }

    /// Stores the loss record that is due, if a record of any size would still fit after it.
    #[cold]
    fn poll_loss(&mut self, words: &impl Words, free: Option<u32>) {
        if free >= Some(self.needed(MAX_SLOTS)) {
            let end = self.store_loss(words);

            // The reader is about to be told. There was no room, as there was a loss to tell.
            let _ = self.publish(words, end);
        }
    }

    /// Returns `head` if the reader has yet to take the newest record, which ends there.
    pub(crate) fn unread(&self, words: &impl Words) -> Option<u32> {
        (words.load_tail() != self.head).then_some(self.head)
    }

    /// Returns where the next record goes.
    pub(crate) fn head(&self) -> u32 {
        self.head
    }

    /// Returns the number of slots, header included.
    pub(crate) fn slots(&self) -> u32 {
        self.mask.wrapping_add(1)
    }

    /// Returns how many records were lost since the queue was opened.
    pub(crate) fn lost(&self) -> u64 {
        self.status.lost()
    }

    /// Returns how many slots are free if `tail` is sane, and keeps [`CORRUPT`] up to date.
    fn free(&mut self, words: &impl Words, tail: u32) -> Option<u32> {
        let free = self.slots().checked_sub(self.head.wrapping_sub(tail));

        // INVARIANT: No more than before.
        self.room = self.room.min(free.unwrap_or(0));
        if self.status.is(CORRUPT) != free.is_none() {
            self.toggle_corrupt(words);
        }
        free
    }

    #[cold]
    fn toggle_corrupt(&mut self, words: &impl Words) {
        self.status.flags ^= CORRUPT;
        // INVARIANT: None while the flag is up.
        self.room = 0;
        self.publish_status(words);
    }

    /// Returns how many slots from `at` on can be used without another look, given a sane `tail`.
    fn room_at(&self, at: u32, tail: u32) -> u32 {
        match at & self.mask {
            // Here is the header.
            0 => 0,
            slot => {
                let free = self.slots().wrapping_sub(at.wrapping_sub(tail));

                free.min(self.slots().wrapping_sub(slot))
            }
        }
    }

    /// Returns how many slots the loss record that is due and a record of `slots` take.
    fn needed(&self, slots: u32) -> u32 {
        let at = if self.status.is(OVERRUN) {
            self.start(self.head, LOSS_SLOTS).wrapping_add(LOSS_SLOTS)
        } else {
            self.head
        };

        self.start(at, slots)
            .wrapping_add(slots)
            .wrapping_sub(self.head)
    }

    /// Returns how many slots are left at the end of the ring if `slots` do not fit there.
    fn gap(&self, at: u32, slots: u32) -> u32 {
        let left = self.slots().wrapping_sub(at & self.mask);

        if slots > left {
            left
        } else {
            0
        }
    }

    /// Returns where `slots` slots go that follow `at`: after the gap, and after the header.
    fn start(&self, at: u32, slots: u32) -> u32 {
        let start = at.wrapping_add(self.gap(at, slots));

        if start & self.mask == 0 {
            start.wrapping_add(HEADER_SLOTS)
        } else {
            start
        }
    }

    /// Stores a record that follows `at` and returns its end; the header is left alone.
    fn store(
        &self,
        words: &impl Words,
        at: u32,
        slots: u32,
        values: impl IntoIterator<Item = u64>,
    ) -> u32 {
        let gap = self.gap(at, slots);
        let start = self.start(at, slots);

        if gap != 0 {
            words.store_slot(at & self.mask, record::skip(gap));
        }
        self.store_slots(words, start & self.mask, values);
        start.wrapping_add(slots)
    }

    /// Stores the loss record if one is due, and returns where the next record follows.
    fn store_loss(&mut self, words: &impl Words) -> u32 {
        if !self.status.is(OVERRUN) {
            return self.head;
        }

        let loss = self.status.tell();

        self.publish_status(words);
        self.store(words, self.head, LOSS_SLOTS, loss)
    }

    /// Counts a record as lost, and returns whether to wake the reader: when it has nothing left
    /// to read, and when a flag goes up that was not in `flags`.
    fn count_lost(&mut self, words: &impl Words, kind: u32, flags: u32) -> bool {
        self.status.lose(kind);
        // INVARIANT: None while `OVERRUN` is up.
        self.room = 0;
        self.publish_status(words);

        let drained = self.publish(words, self.head) == self.head;

        drained || self.status.flags & !flags != 0
    }

    /// Moves `head`, and returns what `tail` is after that.
    ///
    /// Whoever moves it by a record, or stays, wakes the reader if `tail` is where `head` was.
    #[inline]
    fn publish(&mut self, words: &impl Words, head: u32) -> u32 {
        // INVARIANT: `head` is the end of a record, which starts after the header and does not
        // go beyond the end of the ring, or stays where it was. The caller has seen to `room`.
        self.head = head;
        // A look at `tail` after the barrier: either it finds the last `tail` that the reader
        // stored before its fence, or the reader's loads after that fence, of `head` and `lost`,
        // find what was published here, and it does not go to sleep.
        words.publish_head(head)
    }

    fn store_slots(&self, words: &impl Words, first: u32, values: impl IntoIterator<Item = u64>) {
        for (slot, value) in (first..self.slots()).zip(values) {
            words.store_slot(slot, value);
        }
    }

    fn publish_status(&self, words: &impl Words) {
        words.store_slot(LOST_SLOT, self.status.lost);
        words.store_slot(FLAGS_SLOT, record::pair(VERSION, self.status.flags));
    }
}

#[cfg(any(test, CONFIG_WATCH_QUEUE_DEV_KUNIT_TEST))]
#[cfg_attr(
    CONFIG_WATCH_QUEUE_DEV_KUNIT_TEST,
    kernel::macros::kunit_tests(watch_queue_ring)
)]
mod tests {
    use super::{
        super::record::{
            halves,
            pair,
            Header,
            META, //
        },
        *, //
    };
    use core::{
        array,
        cell::Cell,
        iter, //
    };

    const SLOTS: u32 = MIN_SLOTS;

    /// Values of `head` that stand for each slot, the last ones at the turn of the index.
    fn indices() -> impl Iterator<Item = u32> {
        (0..SLOTS)
            .filter(|at| !(1..HEADER_SLOTS).contains(at))
            .flat_map(|at| [at, at.wrapping_sub(SLOTS)])
    }

    /// A ring in memory, with a reader.
    struct Memory {
        slots: [Cell<u64>; SLOTS as usize],
        /// The header stands.
        formatted: Cell<bool>,
        /// A store hit no slot, or a part of the header that is written only once.
        stray: Cell<bool>,
        /// What the reader stores to `tail` while `head` is published.
        next_tail: Cell<Option<u32>>,
    }

    impl Memory {
        fn slot(&self, index: u32) -> u64 {
            self.slots
                .get((index % SLOTS) as usize)
                .map_or(0, Cell::get)
        }

        fn set(&self, slot: u32, value: u64) {
            match self.slots.get(slot as usize) {
                Some(cell) => cell.set(value),
                None => self.stray.set(true),
            }
        }

        fn head(&self) -> u32 {
            halves(self.slot(1)).0
        }

        fn lost(&self) -> u64 {
            self.slot(2)
        }

        fn flags(&self) -> u32 {
            halves(self.slot(3)).1
        }

        fn tail(&self) -> u32 {
            halves(self.slot(8)).0
        }

        fn set_tail(&self, tail: u32) {
            self.set(8, pair(tail, 0));
        }

        /// Takes the next record, stepping over SKIP records: its header and its slots.
        fn take(&self) -> Option<(Header, [u64; MAX_SLOTS as usize])> {
            for _ in 0..SLOTS {
                let tail = self.tail();
                let header = Header::from_slot(self.slot(tail));
                let slots = record::slots(header.len());

                if tail == self.head() {
                    return None;
                }
                self.set_tail(tail.wrapping_add(slots));
                if header.kind != META || header.subtype != record::SKIP {
                    let mut values = [0; MAX_SLOTS as usize];

                    for (value, at) in values.iter_mut().zip(0..slots) {
                        *value = self.slot(tail.wrapping_add(at));
                    }
                    return Some((header, values));
                }
            }
            None
        }

        /// Takes the next record and tells whether it is `record`.
        fn takes(&self, record: &Record<'_>) -> bool {
            self.take().is_some_and(|(_, values)| {
                values
                    .into_iter()
                    .eq(record.values().chain(iter::repeat(0)).take(values.len()))
            })
        }

        /// Takes the next record and tells whether it is that loss record.
        fn takes_loss(&self, nr_lost: u64, types: u32) -> bool {
            self.take().is_some_and(|(_, values)| {
                values.into_iter().take(3).eq(record::loss(nr_lost, types))
            })
        }

        /// Tells whether the header is that of the given ring, as far as the kernel writes it.
        fn agrees_with(&self, ring: &Ring) -> bool {
            !self.stray.get()
                && self.slot(0) == record::skip(HEADER_SLOTS)
                && self.slot(1) == pair(ring.head, SLOTS - 1)
                && self.lost() == ring.lost()
                && self.slot(3) == pair(VERSION, ring.status.flags)
                && (4..8).all(|slot| self.slot(slot) == 0)
        }
    }

    impl Words for Memory {
        fn store_slot(&self, slot: u32, value: u64) {
            let once = slot < HEADER_SLOTS && slot != LOST_SLOT && slot != FLAGS_SLOT;

            if once && self.formatted.get() {
                self.stray.set(true);
            }
            self.set(slot, value);
        }

        fn publish_head(&self, head: u32) -> u32 {
            self.set(1, pair(head, halves(self.slot(1)).1));
            if let Some(next) = self.next_tail.take() {
                self.set_tail(next);
            }
            self.load_tail()
        }

        fn load_tail(&self) -> u32 {
            self.tail()
        }
    }

    /// Formats a ring.
    fn format(ring: &Ring) -> Memory {
        let memory = Memory {
            slots: array::from_fn(|_| Cell::new(u64::MAX)),
            formatted: Cell::new(false),
            stray: Cell::new(false),
            next_tail: Cell::new(None),
        };

        ring.format(&memory);
        memory.formatted.set(true);
        memory
    }

    /// Returns an empty ring with `head` at the given index.
    fn ring_at(head: u32) -> (Ring, Memory) {
        let ring = Ring {
            head,
            mask: SLOTS - 1,
            room: 0,
            status: Status::default(),
        };
        let memory = format(&ring);

        (ring, memory)
    }

    /// Returns bytes that start with a record of `len` bytes, filled with `seed`.
    fn sample(kind: u32, len: u32, seed: u8) -> [u8; 127] {
        let header = Header {
            kind,
            subtype: seed,
            info: len,
        };
        let [a, b, c, d, e, f, g, h] = header.to_slot().to_ne_bytes();
        let mut bytes = [seed; 127];

        if let Some(start) = bytes.first_chunk_mut() {
            *start = [a, b, c, d, e, f, g, h];
        }
        bytes
    }

    /// Posts records of one slot until one is lost, and returns how many were not.
    fn fill(ring: &mut Ring, memory: &Memory, record: &Record<'_>) -> u32 {
        (0..SLOTS)
            .take_while(|_| {
                let _ = ring.post(memory, record);
                ring.lost() == 0
            })
            .count() as u32
    }

    #[test]
    fn size_is_checked() {
        for slots in [0, 1, 32, 63, 65, 96, 513, u32::MAX] {
            assert_eq!(Ring::new(slots, Status::default()).err(), Some(BadSize));
        }
        for shift in 6..32 {
            let ring = Ring::new(1 << shift, Status::default());

            assert_eq!(ring.map(|ring| ring.slots()), Ok(1 << shift));
        }
    }

    #[test]
    fn format_stores_the_header() -> Result<(), BadSize> {
        let ring = Ring::new(SLOTS, Status::default())?;
        let memory = format(&ring);

        assert!(memory.agrees_with(&ring));
        assert_eq!(memory.head(), HEADER_SLOTS);
        assert_eq!(memory.slot(8), pair(HEADER_SLOTS, 0));
        assert_eq!(memory.slot(HEADER_SLOTS), u64::MAX);
        Ok(())
    }

    #[test]
    fn wraps_at_every_offset() -> Result<(), record::Error> {
        for at in indices() {
            for len in record::SLOT_SIZE..=record::INFO_LENGTH {
                let (mut ring, memory) = ring_at(at);
                let bytes = sample(1, len, 0xa5);
                let record = Record::first(&bytes)?;

                assert!(ring.post(&memory, &record));
                assert!(memory.takes(&record));
                assert!(memory.take().is_none());
                assert_eq!(memory.tail(), ring.head());
                assert!(memory.agrees_with(&ring));
            }
        }
        Ok(())
    }

    #[test]
    fn runs_around_in_order() -> Result<(), record::Error> {
        let (mut ring, memory) = ring_at(0u32.wrapping_sub(10 * SLOTS));

        for seed in 0..=u8::MAX {
            let one = sample(1, 8 + u32::from(seed) % 120, seed);
            let two = sample(1, 8 + u32::from(seed) * 7 % 120, !seed);
            let (one, two) = (Record::first(&one)?, Record::first(&two)?);

            assert!(ring.post(&memory, &one));
            assert!(!ring.post(&memory, &two));
            assert!(memory.takes(&one));
            assert!(memory.takes(&two));
            assert!(memory.take().is_none());
        }
        assert_eq!(ring.lost(), 0);
        assert!(memory.agrees_with(&ring));
        Ok(())
    }

    #[test]
    fn fills_to_the_last_slot() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;

        for at in indices() {
            let (mut ring, memory) = ring_at(at);
            let count = fill(&mut ring, &memory, &record);
            let used = ring.head().wrapping_sub(at);

            assert_eq!(count, SLOTS - HEADER_SLOTS);
            // From behind the header the ring is full in front of it.
            assert_eq!(
                used,
                if at % SLOTS == HEADER_SLOTS {
                    count
                } else {
                    SLOTS
                }
            );
            assert_eq!(ring.poll(&memory), Readiness::Readable);
            assert_eq!(memory.flags(), OVERRUN);
            assert!(memory.agrees_with(&ring));

            for _ in 0..count {
                assert!(memory.takes(&record));
            }
            assert!(memory.take().is_none());
        }
        Ok(())
    }

    #[test]
    fn overrun_wakes_once_and_is_told() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;
        let others = [sample(META, 8, 2), sample(31, 127, 3), sample(99, 64, 4)];

        for at in indices() {
            let (mut ring, memory) = ring_at(at);

            for _ in 0..=SLOTS - HEADER_SLOTS {
                let empty = ring.head() == at;
                let wake = ring.post(&memory, &record);

                assert_eq!(wake, empty || ring.status.is(OVERRUN));
            }
            for bytes in &others {
                assert!(!ring.post(&memory, &Record::first(bytes)?));
            }
            assert_eq!(memory.lost(), 4);
            assert_eq!(memory.flags(), OVERRUN);

            memory.set_tail(memory.head());
            assert_eq!(ring.poll(&memory), Readiness::Readable);
            assert_eq!(memory.flags(), 0);
            assert!(memory.takes_loss(4, 1 | 1 << 1 | 1 << 31));
            assert!(memory.take().is_none());
            assert_eq!(ring.poll(&memory), Readiness::Empty);

            // What has been told is not told again; a reader that waits is woken each time.
            assert!(ring.lose(&memory, 5));
            assert!(ring.lose(&memory, 5));
            assert_eq!(ring.poll(&memory), Readiness::Readable);
            assert!(memory.takes_loss(2, 1 << 5));
            assert_eq!(memory.lost(), 6);
            assert!(memory.agrees_with(&ring));
        }
        Ok(())
    }

    #[test]
    fn loss_wakes_a_reader_that_lags_once() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;
        let (mut ring, memory) = ring_at(HEADER_SLOTS);

        assert!(ring.post(&memory, &record));
        assert!(ring.lose(&memory, 2));
        assert!(!ring.lose(&memory, 2));
        assert!(memory.takes(&record));
        assert!(ring.lose(&memory, 2));
        assert_eq!(memory.lost(), 3);

        // Full at the first look, drained at the second.
        memory.set_tail(ring.head().wrapping_sub(SLOTS));
        memory.next_tail.set(Some(ring.head()));
        assert!(ring.post(&memory, &record));
        assert_eq!(memory.lost(), 4);
        assert!(memory.agrees_with(&ring));
        Ok(())
    }

    #[test]
    fn post_tells_of_loss_first_and_needs_room_for_both() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;
        let bytes = sample(7, 15, 2);
        let newer = Record::first(&bytes)?;

        for at in indices() {
            let (mut ring, memory) = ring_at(at);
            let _ = fill(&mut ring, &memory, &record);
            let full = ring.head();
            let mut freed = SLOTS - full.wrapping_sub(at);
            let mut lost = 1;

            loop {
                let before = memory.tail();

                assert!(!ring.post(&memory, &newer));
                if ring.head() != full {
                    break;
                }
                lost += 1;
                assert!(memory.takes(&record));
                freed += memory.tail().wrapping_sub(before);
            }

            if (HEADER_SLOTS..=SLOTS - 5).contains(&(full % SLOTS)) {
                assert_eq!(freed, 5);
            }
            while memory.tail() != full {
                assert!(memory.takes(&record));
            }
            assert!(memory.takes_loss(lost, if lost == 1 { 1 << 1 } else { 1 << 1 | 1 << 7 }));
            assert!(memory.takes(&newer));
            assert!(memory.take().is_none());
            assert!(memory.agrees_with(&ring));
        }
        Ok(())
    }

    #[test]
    fn poll_tells_of_loss_when_any_record_would_fit_too() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;
        let bytes = sample(1, 127, 2);
        let largest = Record::first(&bytes)?;

        for at in indices() {
            let (mut ring, memory) = ring_at(at);
            let _ = fill(&mut ring, &memory, &record);
            let full = ring.head();

            loop {
                assert_eq!(ring.poll(&memory), Readiness::Readable);
                if ring.head() != full {
                    break;
                }
                assert_eq!(memory.flags(), OVERRUN);
                assert!(memory.takes(&record));
            }

            if (HEADER_SLOTS..=SLOTS - 19).contains(&(full % SLOTS)) {
                let free = SLOTS - full.wrapping_sub(memory.tail());

                // A whole header is freed at once.
                assert!(free == 19 || memory.tail() % SLOTS == HEADER_SLOTS);
            }
            assert_eq!(memory.flags(), 0);
            assert!(!ring.post(&memory, &largest));
            assert_eq!(ring.lost(), 1);
            while memory.tail() != full {
                assert!(memory.takes(&record));
            }
            assert!(memory.takes_loss(1, 1 << 1));
            assert!(memory.takes(&largest));
            assert!(memory.take().is_none());
            assert!(memory.agrees_with(&ring));
        }
        Ok(())
    }

    #[test]
    fn tail_within_the_ring_is_believed() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;

        for at in indices() {
            for used in 0..=SLOTS {
                let (mut ring, memory) = ring_at(at);
                let fits = SLOTS - used >= if at % SLOTS == 0 { 10 } else { 1 };
                let expected = if used == 0 {
                    Readiness::Empty
                } else {
                    Readiness::Readable
                };

                memory.set_tail(at.wrapping_sub(used));
                assert_eq!(ring.poll(&memory), expected);
                assert_eq!(memory.flags(), 0);
                let _ = ring.post(&memory, &record);
                assert_eq!(ring.lost(), u64::from(!fits));
                assert_eq!(memory.flags(), if fits { 0 } else { OVERRUN });
            }
        }
        Ok(())
    }

    #[test]
    fn tail_beyond_the_ring_is_corrupt() -> Result<(), record::Error> {
        let bytes = sample(1, 24, 1);
        let record = Record::first(&bytes)?;

        for at in indices() {
            for used in [
                SLOTS + 1,
                SLOTS + 2,
                2 * SLOTS,
                1 << 31,
                u32::MAX - 1,
                u32::MAX,
            ] {
                let (mut ring, memory) = ring_at(at);

                memory.set_tail(at.wrapping_sub(used));
                assert!(ring.post(&memory, &record));
                assert!(!ring.post(&memory, &record));
                assert_eq!(ring.poll(&memory), Readiness::Corrupt);
                assert_eq!(memory.flags(), OVERRUN | CORRUPT);
                assert_eq!(memory.head(), at);
                assert_eq!(memory.lost(), 2);

                memory.set_tail(at);
                assert!(ring.post(&memory, &record));
                assert_eq!(memory.flags(), 0);
                assert!(memory.takes_loss(2, 1 << 1));
                assert!(memory.takes(&record));
                assert!(memory.take().is_none());
                assert!(memory.agrees_with(&ring));
            }
        }
        Ok(())
    }

    #[test]
    fn corruption_is_found_behind_known_room() -> Result<(), record::Error> {
        let bytes = sample(1, 24, 1);
        let record = Record::first(&bytes)?;

        for used in [SLOTS + 1, 1 << 31, u32::MAX - 3] {
            let (mut ring, memory) = ring_at(HEADER_SLOTS);

            assert!(ring.post(&memory, &record));
            // What was free is free: it takes no look at `tail` to post there, but one follows.
            memory.set_tail(ring.head().wrapping_sub(used));
            assert!(ring.post(&memory, &record));
            assert_eq!(memory.flags(), CORRUPT);
            assert_eq!(memory.lost(), 0);
            assert!(ring.post(&memory, &record));
            assert_eq!(memory.flags(), CORRUPT | OVERRUN);
            assert_eq!(memory.lost(), 1);
            assert!(memory.agrees_with(&ring));

            memory.set_tail(HEADER_SLOTS);
            assert!(!ring.post(&memory, &record));
            assert!(memory.takes(&record));
            assert!(memory.takes(&record));
            assert!(memory.takes_loss(1, 1 << 1));
            assert!(memory.takes(&record));
            assert!(memory.take().is_none());
        }

        // Where the record is going to be, or back so far that it was not free.
        for tail in [
            HEADER_SLOTS + 4,
            HEADER_SLOTS + 5,
            (HEADER_SLOTS + 4).wrapping_sub(SLOTS),
        ] {
            let (mut ring, memory) = ring_at(HEADER_SLOTS);

            assert!(ring.post(&memory, &record));
            memory.set_tail(tail);
            assert!(ring.post(&memory, &record));
            assert_eq!(memory.flags(), CORRUPT);
        }
        Ok(())
    }

    #[test]
    fn corruption_wakes_once_during_overrun_too() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;
        let (mut ring, memory) = ring_at(HEADER_SLOTS);

        assert!(ring.lose(&memory, 1));
        for _ in 0..3 {
            memory.set_tail(HEADER_SLOTS + 1);
            assert!(ring.post(&memory, &record));
            assert!(!ring.post(&memory, &record));
            assert_eq!(memory.flags(), OVERRUN | CORRUPT);

            // Sane, but full.
            memory.set_tail(HEADER_SLOTS.wrapping_sub(SLOTS));
            assert!(!ring.post(&memory, &record));
            assert_eq!(memory.flags(), OVERRUN);
        }
        Ok(())
    }

    #[test]
    fn poll_tells_of_corruption_and_recovers() {
        let (mut ring, memory) = ring_at(HEADER_SLOTS);

        memory.set_tail(HEADER_SLOTS + 1);
        assert_eq!(ring.poll(&memory), Readiness::Corrupt);
        assert_eq!(memory.flags(), CORRUPT);
        memory.set_tail(HEADER_SLOTS);
        assert_eq!(ring.poll(&memory), Readiness::Empty);
        assert_eq!(memory.flags(), 0);
        assert_eq!(ring.lost(), 0);
    }

    #[test]
    fn last_look_decides_the_wake_up() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;
        let (mut ring, memory) = ring_at(HEADER_SLOTS);
        let (first, second, third) = (HEADER_SLOTS, HEADER_SLOTS + 1, HEADER_SLOTS + 2);

        // The reader had caught up, and still has.
        assert!(ring.post(&memory, &record));
        assert_eq!(memory.tail(), first);
        // The reader lags behind.
        assert!(!ring.post(&memory, &record));
        // The reader catches up with what was there before the last look.
        memory.next_tail.set(Some(third));
        assert!(ring.post(&memory, &record));
        // The reader catches up with the new record as well before the last look.
        memory.set_tail(second);
        memory.next_tail.set(Some(ring.head() + 1));
        assert!(!ring.post(&memory, &record));
        assert_eq!(ring.poll(&memory), Readiness::Empty);
        Ok(())
    }

    #[test]
    fn policy_is_sticky_and_tells_nothing_else() -> Result<(), record::Error> {
        let bytes = sample(1, 8, 1);
        let record = Record::first(&bytes)?;
        let (mut ring, memory) = ring_at(HEADER_SLOTS);

        ring.withhold(&memory);
        ring.withhold(&memory);
        assert_eq!(memory.flags(), POLICY);
        assert_eq!(memory.lost(), 0);
        assert_eq!(ring.poll(&memory), Readiness::Empty);

        let _ = fill(&mut ring, &memory, &record);
        assert_eq!(memory.flags(), POLICY | OVERRUN);
        memory.set_tail(ring.head() + 1);
        assert_eq!(ring.poll(&memory), Readiness::Corrupt);
        assert_eq!(memory.flags(), POLICY | OVERRUN | CORRUPT);
        memory.set_tail(ring.head());
        assert_eq!(ring.poll(&memory), Readiness::Readable);
        assert_eq!(memory.flags(), POLICY);
        assert!(memory.takes_loss(1, 1 << 1));
        Ok(())
    }

    #[test]
    fn losses_from_before_the_ring_are_told() -> Result<(), BadSize> {
        let mut status = Status::default();

        status.lose(1);
        status.lose(40);
        status.withhold();

        let mut ring = Ring::new(SLOTS, status)?;
        let memory = format(&ring);

        assert_eq!(memory.flags(), OVERRUN | POLICY);
        assert_eq!(memory.lost(), 2);
        assert_eq!(ring.poll(&memory), Readiness::Readable);
        assert!(memory.takes_loss(2, 1 << 1 | 1 << 31));
        assert!(memory.agrees_with(&ring));
        Ok(())
    }
}
