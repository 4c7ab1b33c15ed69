// SPDX-License-Identifier: GPL-2.0

//! Random operations on a ring and on a model of it, which must agree after each.

use crate::{
    memory::Memory,
    reader::{
        Reader,
        View, //
    },
    record::{
        self,
        halves,
        pair,
        Header,
        Record, //
    },
    ring::{
        Readiness,
        Ring,
        Status,
        HEADER_SLOTS,
        OVERRUN,
        POLICY,
        VERSION, //
    },
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::RngSeed, //
};
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Op {
    Post { kind: u32, len: u32 },
    Lose { kind: u32 },
    Withhold,
    Poll,
    Take,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let kind = prop_oneof![0..40u32, Just(0x00ff_ffff)];
    let len = prop_oneof![8..=127u32, Just(8), Just(127)];
    // Some runs have a reader that keeps up, some one that does not.
    let readers = prop_oneof![Just(2u32), Just(6), Just(12)];

    readers.prop_flat_map(move |reader| {
        let op = prop_oneof![
            8 => (kind.clone(), len.clone()).prop_map(|(kind, len)| Op::Post { kind, len }),
            1 => kind.clone().prop_map(|kind| Op::Lose { kind }),
            1 => Just(Op::Poll),
            reader => Just(Op::Take),
        ];

        vec(prop_oneof![200 => op, 1 => Just(Op::Withhold)], 0..400)
    })
}

/// What the ring should do, told without a ring: indices never wrap, records lie in a queue.
struct Model {
    size: u64,
    head: u64,
    tail: u64,
    /// Each record with the index at which it ends.
    records: VecDeque<(u64, Vec<u64>)>,
    lost: u64,
    /// Types of the losses that were not told.
    untold: Vec<u32>,
    withheld: bool,
}

impl Model {
    /// Finds a place by trying: the end of `slots` slots that follow `at`.
    fn end(&self, at: u64, slots: u64) -> u64 {
        (at..)
            .find(|start| {
                (*start..start + slots).all(|slot| slot % self.size >= HEADER_SLOTS.into())
            })
            .map_or(0, |start| start + slots)
    }

    /// The loss record that is due and the index at which it would end.
    fn loss(&self) -> Option<(u64, Vec<u64>)> {
        let types = self
            .untold
            .iter()
            .fold(0, |types, kind| types | 1 << kind.min(&31));
        let values = vec![
            Header {
                kind: 0,
                subtype: 1,
                info: 24,
            }
            .to_slot(),
            self.untold.len() as u64,
            pair(types, 0),
        ];

        (!self.untold.is_empty()).then(|| (self.end(self.head, 3), values))
    }

    fn push(&mut self, (end, values): (u64, Vec<u64>)) {
        self.records.push_back((end, values));
        self.head = end;
    }

    fn push_loss(&mut self, loss: Option<(u64, Vec<u64>)>) {
        if let Some(loss) = loss {
            self.push(loss);
            self.untold.clear();
        }
    }

    fn lose(&mut self, kind: u32) -> bool {
        let wake = self.tail == self.head || self.untold.is_empty();

        self.lost += 1;
        self.untold.push(kind);
        wake
    }

    fn post(&mut self, kind: u32, values: Vec<u64>) -> bool {
        let loss = self.loss();
        let after = loss.as_ref().map_or(self.head, |(end, _)| *end);
        let end = self.end(after, values.len() as u64);

        if end - self.tail > self.size {
            return self.lose(kind);
        }

        let wake = self.tail == self.head;

        self.push_loss(loss);
        self.push((end, values));
        wake
    }

    fn poll(&mut self) -> Readiness {
        let loss = self.loss();
        let after = loss.as_ref().map_or(self.head, |(end, _)| *end);

        if self.end(after, 16) - self.tail <= self.size {
            self.push_loss(loss);
        }
        if self.records.is_empty() {
            Readiness::Empty
        } else {
            Readiness::Readable
        }
    }

    fn take(&mut self) -> Option<Vec<u64>> {
        let (end, values) = self.records.pop_front()?;

        self.tail = end;
        Some(values)
    }

    fn flags(&self) -> u32 {
        let overrun = if self.untold.is_empty() { 0 } else { OVERRUN };

        overrun | if self.withheld { POLICY } else { 0 }
    }
}

/// Makes a record whose content depends on `seed`, slot by slot and as bytes.
fn sample(kind: u32, len: u32, seed: usize) -> (Vec<u64>, Vec<u8>) {
    let header = Header {
        kind,
        // Never that of a SKIP record, even for META.
        subtype: seed as u8 | 0x80,
        info: len,
    };
    let mut bytes: Vec<u8> = header.to_slot().to_ne_bytes().to_vec();

    bytes.extend((8..len as usize).map(|at| (at * 31 + seed) as u8));

    let mut padded = bytes.clone();
    padded.resize(bytes.len().next_multiple_of(8), 0);
    let values = padded
        .chunks_exact(8)
        .map(|slot| u64::from_ne_bytes(slot.try_into().unwrap()));

    (values.collect(), bytes)
}

fn run(slots: u32, ops: Vec<Op>) {
    let mut ring = Ring::new(slots, Status::default()).unwrap();
    let memory = Memory::new(slots);
    let mut reader = Reader::new(HEADER_SLOTS, slots);
    let mut model = Model {
        size: slots.into(),
        head: HEADER_SLOTS.into(),
        tail: HEADER_SLOTS.into(),
        records: VecDeque::new(),
        lost: 0,
        untold: Vec::new(),
        withheld: false,
    };

    ring.format(&memory);
    for (seed, op) in ops.into_iter().enumerate() {
        memory.allow(ring.head(), slots - (model.head - model.tail) as u32);
        match op {
            Op::Post { kind, len } => {
                let (values, bytes) = sample(kind, len, seed);
                let record = Record::first(&bytes).unwrap();

                assert_eq!(ring.post(&memory, &record), model.post(kind, values));
            }
            Op::Lose { kind } => assert_eq!(ring.lose(&memory, kind), model.lose(kind)),
            Op::Withhold => {
                ring.withhold(&memory);
                model.withheld = true;
            }
            Op::Poll => assert_eq!(ring.poll(&memory), model.poll()),
            Op::Take => assert_eq!(reader.take(&memory), model.take()),
        }

        assert_eq!(u64::from(memory.load_head()), model.head);
        assert_eq!(u64::from(memory.tail()), model.tail);
        assert_eq!(memory.load_lost(), model.lost);
        assert_eq!(halves(memory.get(3)), (VERSION, model.flags()));
    }

    while let Some(values) = model.take() {
        assert_eq!(reader.take(&memory), Some(values));
    }
    assert_eq!(reader.take(&memory), None);
    assert_eq!(memory.get(0), record::skip(HEADER_SLOTS));
    assert_eq!(halves(memory.get(1)).1, slots - 1);
    assert!((4..8).all(|slot| memory.get(slot) == 0));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x77_61_74_63_68),
        ..ProptestConfig::with_cases(1000)
    })]

    #[test]
    fn ring_agrees_with_model(shift in 6..10u32, ops in ops()) {
        run(1 << shift, ops);
    }
}
