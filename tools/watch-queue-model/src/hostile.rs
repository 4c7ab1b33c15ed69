// SPDX-License-Identifier: GPL-2.0

//! A user that stores anything anywhere in the ring, at any time.

use crate::{
    memory::Memory,
    reader::Reader,
    record::{
        self,
        Header,
        Record,
        LOSS_SLOTS,
        MAX_SLOTS, //
    },
    ring::{
        Readiness,
        Ring,
        Status,
        HEADER_SLOTS, //
    },
};

/// The most that `head` may move at once: a loss record and the largest record around the header.
const MAX_STEP: u32 = LOSS_SLOTS + (MAX_SLOTS - 1) + HEADER_SLOTS + MAX_SLOTS;

/// A record of `len` bytes, 8 to 127.
fn sample(kind: u8, len: u32) -> Vec<u8> {
    let header = Header {
        kind: kind.into(),
        subtype: 0,
        info: len,
    };
    let mut bytes = header.to_slot().to_ne_bytes().to_vec();

    bytes.resize(len as usize, kind);
    bytes
}

/// Checks the kernel's side after an operation, given `head` and `lost` from before it.
fn check(ring: &Ring, (head, lost): (u32, u64), free: u32, posted: bool) {
    let moved = ring.head().wrapping_sub(head);
    let lost = ring.lost() - lost;

    assert!(moved <= MAX_STEP);
    assert!(moved <= free);
    assert!(lost <= 1);
    assert!(!posted || (lost == 1) == (moved == 0));
}

/// Checks that all works again when `tail` is sane: a loss that is due and a new record arrive.
fn recover(ring: &mut Ring, memory: &Memory) {
    let mut reader = Reader::new(ring.head(), ring.slots());
    let bytes = sample(1, 127);
    let record = Record::first(&bytes).expect("record is valid");

    // The reader steps over the header by what it finds there.
    memory.scribble(0, record::skip(HEADER_SLOTS));
    memory.set_tail(ring.head());
    memory.allow(ring.head(), ring.slots());

    let told = ring.poll(memory) == Readiness::Empty;
    let lost = ring.lost();

    assert!(ring.poll(memory) != Readiness::Corrupt);
    assert_eq!(ring.post(memory, &record), told);
    assert_eq!(ring.lost(), lost);
    if !told {
        let loss = reader.take(memory).expect("a loss record was due");

        assert_eq!(loss.len(), 3);
        assert!(loss[1] <= lost);
    }
    assert_eq!(reader.take(memory), Some(record.values().collect()));
    assert_eq!(reader.take(memory), None);
    assert_eq!(ring.poll(memory), Readiness::Empty);
}

/// Runs what the bytes say, and panics if the producer can be led astray.
pub fn hostile(data: &[u8]) {
    let mut input = data.iter().copied();
    let mut next = || input.next();
    let slots = 64 << (next().unwrap_or(0) % 4);
    let memory = Memory::new(slots);
    let Ok(mut ring) = Ring::new(slots, Status::default()) else {
        unreachable!("64 to 512 slots are a valid size");
    };

    // How many slots from `head` on were free at some time since the ring was last corrupt.
    let mut free = 0;

    ring.format(&memory);
    while let (Some(op), Some(a), Some(b)) = (next(), next(), next()) {
        let before = (ring.head(), ring.lost());
        let used = ring.head().wrapping_sub(memory.tail());

        free = slots.saturating_sub(used).max(free);
        memory.allow(ring.head(), free);
        match op % 8 {
            0..3 => {
                let bytes = sample(a, 8 + u32::from(b) % 120);
                let record = Record::first(&bytes).expect("record is valid");
                let _ = ring.post(&memory, &record);

                check(&ring, before, free, true);
            }
            3 => {
                let corrupt = ring.poll(&memory) == Readiness::Corrupt;

                assert_eq!(corrupt, used > slots);
                check(&ring, before, free, false);
            }
            4 => {
                let _ = ring.lose(&memory, u32::from(a) << (b % 24));

                check(&ring, before, free, false);
            }
            // Around the bounds of what is sane.
            5 => {
                let bound = ring.head().wrapping_sub(if a % 2 == 0 { 0 } else { slots });

                memory.set_tail(bound.wrapping_add(b.into()).wrapping_sub(8));
            }
            6 => memory.set_tail(u32::from_ne_bytes([a, b, op, a ^ b])),
            _ => {
                let value = u64::from_ne_bytes([a, b, op, a, b, op, a, b]);

                memory.scribble(u32::from_ne_bytes([a, b, 0, 0]) % slots, value);
                memory.scribble(u32::from(a) % HEADER_SLOTS, value);
            }
        }
        free -= ring.head().wrapping_sub(before.0);
        // A post and a poll have looked.
        if op % 8 < 4 && ring.head().wrapping_sub(memory.tail()) > slots {
            free = 0;
        }
    }
    recover(&mut ring, &memory);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{
        collection::vec,
        prelude::*,
        test_runner::RngSeed, //
    };

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(0x71_75_65_75_65),
            ..ProptestConfig::with_cases(8000)
        })]

        #[test]
        fn any_bytes_are_survived(data in vec(any::<u8>(), 0..3000)) {
            hostile(&data);
        }
    }
}
