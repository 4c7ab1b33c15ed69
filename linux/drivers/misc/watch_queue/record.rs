// SPDX-License-Identifier: GPL-2.0

//! Notification records: their header, their size in slots and the ones that the ring makes itself.
//!
//! A record starts with `struct watch_notification`: a word of type and subtype, then the word
//! `info` of length, tag and type-specific bits. It is stored in slots of 8 bytes, native endian.

/// Bytes of a slot; a record starts on a slot and a header fills one.
pub(crate) const SLOT_SIZE: u32 = 8;

/// Slots of the longest record that `info` can tell the length of.
pub(crate) const MAX_SLOTS: u32 = slots(INFO_LENGTH);

/// Slots of `struct watch_notification_loss`.
pub(crate) const LOSS_SLOTS: u32 = 3;

/// `WATCH_TYPE_META`: records about the queue or the watch itself.
pub(crate) const META: u32 = 0;

/// `WATCH_META_LOSS_NOTIFICATION`: how many records were lost, and of which types.
pub(crate) const LOSS: u8 = 1;

/// `WATCH_META_SKIP_NOTIFICATION`: padding, to be stepped over.
pub(crate) const SKIP: u8 = 2;

/// `WATCH_INFO_LENGTH`: the part of `info` that holds the length in bytes, header included.
pub(crate) const INFO_LENGTH: u32 = 0x0000_007f;

/// `WATCH_INFO_ID`: the part of `info` that holds the tag of the watch.
pub(crate) const INFO_ID: u32 = 0x0000_ff00;

const _: () = assert!(MAX_SLOTS == 16);

// The bit-fields of C, told by their bytes: the subtype is the fourth one on any machine.
const _: () = {
    let header = Header {
        kind: 0x0012_3456,
        subtype: 0x78,
        info: 0x9abc_def0,
    };
    let [a, b, c, d, e, f, g, h] = header.to_slot().to_ne_bytes();

    assert!(d == 0x78);
    assert!(u32::from_ne_bytes([e, f, g, h]) == 0x9abc_def0);
    if cfg!(target_endian = "big") {
        assert!(u32::from_be_bytes([0, a, b, c]) == 0x0012_3456);
    } else {
        assert!(u32::from_le_bytes([a, b, c, 0]) == 0x0012_3456);
    }
};

/// Returns how many slots a record of `len` bytes takes; `len` is at most [`INFO_LENGTH`].
pub(crate) const fn slots(len: u32) -> u32 {
    len.wrapping_add(SLOT_SIZE - 1) / SLOT_SIZE
}

/// Returns the slot in which `first` lies before `second` in memory.
pub(crate) const fn pair(first: u32, second: u32) -> u64 {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();

    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Returns the two words of a slot in the order in which they lie in memory.
pub(crate) const fn halves(slot: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = slot.to_ne_bytes();

    (
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    )
}

/// The header of a record, `struct watch_notification`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// What the record is about, 24 bits of it.
    pub(crate) kind: u32,

    /// What happened; the meaning depends on `kind`.
    pub(crate) subtype: u8,

    /// Length, tag and bits whose meaning depends on `kind`.
    pub(crate) info: u32,
}

impl Header {
    /// Reads a header from the first slot of a record.
    pub(crate) const fn from_slot(slot: u64) -> Self {
        let (word, info) = halves(slot);
        let [.., subtype] = word.to_ne_bytes();
        let kind = if cfg!(target_endian = "big") {
            word >> 8
        } else {
            word & 0x00ff_ffff
        };

        Self {
            kind,
            subtype,
            info,
        }
    }

    /// Returns the first slot of a record with this header.
    pub(crate) const fn to_slot(self) -> u64 {
        let word = if cfg!(target_endian = "big") {
            self.kind << 8 | self.subtype as u32
        } else {
            self.kind & 0x00ff_ffff | (self.subtype as u32) << 24
        };

        pair(word, self.info)
    }

    /// Returns the length of the record in bytes, as the header tells it.
    pub(crate) const fn len(self) -> u32 {
        self.info & INFO_LENGTH
    }

    /// Returns the slot that starts a META record of `slots` slots, with tag 0.
    const fn meta(subtype: u8, slots: u32) -> u64 {
        let header = Self {
            kind: META,
            subtype,
            info: slots.wrapping_mul(SLOT_SIZE),
        };

        header.to_slot()
    }
}

/// Returns the length of the record that starts with these bytes, as its header tells it.
///
/// That is all that most posts need of the header.
const fn len(first: &[u8; SLOT_SIZE as usize]) -> u32 {
    let [_, _, _, _, info @ ..] = *first;

    u32::from_ne_bytes(info) & INFO_LENGTH
}

/// Returns the first slot of a SKIP record; the other `slots - 1` slots mean nothing.
pub(crate) const fn skip(slots: u32) -> u64 {
    Header::meta(SKIP, slots)
}

/// Returns a LOSS record, `struct watch_notification_loss`.
pub(crate) const fn loss(nr_lost: u64, types: u32) -> [u64; LOSS_SLOTS as usize] {
    [Header::meta(LOSS, LOSS_SLOTS), nr_lost, pair(types, 0)]
}

/// Returns the bit that stands for a type in a mask of types; all from 31 up share the last.
pub(crate) const fn type_bit(kind: u32) -> u32 {
    if kind < 31 {
        1 << kind
    } else {
        1 << 31
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The length is below that of a header, beyond the bytes there are, or not of whole slots.
    Length,

    /// META records are the kernel's to make.
    Meta,

    /// The tag is the kernel's to set.
    Tag,
}

/// A record to be posted.
///
/// # Invariants
///
/// `bytes` is as long as the header that it starts with says, which is at least [`SLOT_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Finds the record that `bytes` start with.
    pub(crate) fn first(bytes: &'a [u8]) -> Result<Self, Error> {
        let first = bytes.first_chunk().ok_or(Error::Length)?;
        let len = len(first);

        if len < SLOT_SIZE {
            return Err(Error::Length);
        }

        // INVARIANT: `get()` returns as many bytes as it is asked for, and `len` of at least
        // `SLOT_SIZE` include the header.
        match bytes.get(..len as usize) {
            Some(bytes) => Ok(Self { bytes }),
            None => Err(Error::Length),
        }
    }

    /// Finds the record that `bytes` start with, if user space may inject it.
    pub(crate) fn injected(bytes: &'a [u8]) -> Result<Self, Error> {
        let record = Self::first(bytes)?;
        let header = record.header();

        if header.len() % SLOT_SIZE != 0 {
            return Err(Error::Length);
        }
        if header.kind == META {
            return Err(Error::Meta);
        }
        if header.info & INFO_ID != 0 {
            return Err(Error::Tag);
        }

        Ok(record)
    }

    /// Returns the header.
    pub(crate) fn header(&self) -> Header {
        // By the type invariants there is a first slot.
        let first = self.bytes.first_chunk().copied().unwrap_or_default();

        Header::from_slot(u64::from_ne_bytes(first))
    }

    /// Returns the bytes, of which there are as many as the header says.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns how many slots the record takes, from 1 to [`MAX_SLOTS`].
    pub(crate) fn slots(&self) -> u32 {
        // By the type invariants this is the length that the header tells.
        slots(self.bytes.len() as u32)
    }

    /// Returns how many slots the record takes if it fills the last one as well.
    pub(crate) fn whole_slots(&self) -> Option<u32> {
        const SIZE: usize = SLOT_SIZE as usize;
        let len = self.bytes.len();

        (len % SIZE == 0).then_some((len / SIZE) as u32)
    }

    /// Returns what goes into each of [`Self::slots`] slots, the last padded with zeroes.
    pub(crate) fn values(&self) -> impl Iterator<Item = u64> + 'a {
        self.bytes.chunks(SLOT_SIZE as usize).map(|chunk| {
            if let Some(whole) = chunk.first_chunk() {
                return u64::from_ne_bytes(*whole);
            }

            let mut padded = [0; SLOT_SIZE as usize];
            padded
                .iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            u64::from_ne_bytes(padded)
        })
    }
}

#[cfg(any(test, CONFIG_WATCH_QUEUE_DEV_KUNIT_TEST))]
#[cfg_attr(
    CONFIG_WATCH_QUEUE_DEV_KUNIT_TEST,
    kernel::macros::kunit_tests(watch_queue_record)
)]
mod tests {
    use super::*;

    /// Returns 127 bytes that count up, with a header in front.
    fn bytes(kind: u32, info: u32) -> [u8; 127] {
        let header = Header {
            kind,
            subtype: 0,
            info,
        };
        let mut bytes = [0; 127];

        bytes.iter_mut().zip(0..).for_each(|(to, from)| *to = from);
        bytes
            .iter_mut()
            .zip(header.to_slot().to_ne_bytes())
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// Returns the start of `bytes`, or all.
    fn start(bytes: &[u8], len: u32) -> &[u8] {
        bytes.get(..len as usize).unwrap_or(bytes)
    }

    #[test]
    fn header_keeps_every_bit() {
        for bit in 0..64 {
            let header = Header::from_slot(1 << bit);
            let (word, info) = halves(1 << bit);

            assert_eq!(header.to_slot(), 1 << bit);
            assert_eq!(header.info, info);
            assert_eq!(
                header.kind.count_ones() + header.subtype.count_ones(),
                word.count_ones()
            );
        }
    }

    #[test]
    fn header_has_the_bytes_of_c() {
        // Type 1, subtype 2, length 16, tag 3, as a C compiler lays them out.
        #[cfg(target_endian = "little")]
        let bytes = [1, 0, 0, 2, 16, 3, 0, 0];
        #[cfg(target_endian = "big")]
        let bytes = [0, 0, 1, 2, 0, 0, 3, 16];
        let header = Header::from_slot(u64::from_ne_bytes(bytes));

        assert_eq!(header.kind, 1);
        assert_eq!(header.subtype, 2);
        assert_eq!(header.len(), 16);
        assert_eq!(header.info & INFO_ID, 0x300);
        assert_eq!(header.to_slot().to_ne_bytes(), bytes);
    }

    #[test]
    fn kind_does_not_leak_into_subtype() {
        let header = Header {
            kind: 0x00ff_ffff,
            subtype: 0,
            info: 0,
        };

        assert_eq!(Header::from_slot(header.to_slot()), header);
    }

    #[test]
    fn slots_round_up() {
        for len in 1..=INFO_LENGTH {
            assert!(slots(len) * SLOT_SIZE >= len);
            assert!(slots(len) * SLOT_SIZE < len + SLOT_SIZE);
        }
    }

    #[test]
    fn skip_tells_its_length() {
        for slots in 1..MAX_SLOTS {
            let header = Header::from_slot(skip(slots));

            assert_eq!(header.kind, META);
            assert_eq!(header.subtype, SKIP);
            assert_eq!(header.info, slots * 8);
        }
    }

    #[test]
    fn loss_has_the_layout_of_c() {
        let [header, nr_lost, types] = loss(u64::MAX, 0x8000_0002);
        let header = Header::from_slot(header);

        assert_eq!(header.kind, META);
        assert_eq!(header.subtype, LOSS);
        assert_eq!(header.info, 24);
        assert_eq!(nr_lost, u64::MAX);
        assert_eq!(halves(types), (0x8000_0002, 0));
    }

    #[test]
    fn types_beyond_the_mask_share_a_bit() {
        assert_eq!(type_bit(META), 1);
        assert_eq!(type_bit(30), 1 << 30);
        assert_eq!(type_bit(31), 1 << 31);
        assert_eq!(type_bit(0x00ff_ffff), 1 << 31);
    }

    #[test]
    fn record_is_as_long_as_it_says() {
        for len in 0..=INFO_LENGTH {
            let bytes = bytes(1, len);

            for left in 0..=INFO_LENGTH {
                let record = Record::first(start(&bytes, left));

                assert_eq!(record.is_ok(), len >= SLOT_SIZE && left >= len);
                if let Ok(record) = record {
                    assert_eq!(record.header().len(), len);
                    assert_eq!(record.bytes, start(&bytes, len));
                }
            }
        }
    }

    #[test]
    fn values_are_padded_with_zeroes() -> Result<(), Error> {
        for len in SLOT_SIZE..=INFO_LENGTH {
            let bytes = bytes(1, len);
            let record = Record::first(&bytes)?;
            let mut count = 0;

            for (at, byte) in record.values().flat_map(u64::to_ne_bytes).enumerate() {
                assert_eq!(Some(byte), start(&bytes, len).get(at).copied().or(Some(0)));
                count += 1;
            }
            assert_eq!(count, record.slots() * SLOT_SIZE);
        }
        Ok(())
    }

    #[test]
    fn injection_takes_whole_slots() {
        for len in 0..=INFO_LENGTH {
            let bytes = bytes(1, len);
            let valid = (8..=120).contains(&len) && len % 8 == 0;

            assert_eq!(Record::injected(&bytes).is_ok(), valid);
            assert_eq!(Record::injected(start(&bytes, len)).is_ok(), valid);
            assert_eq!(
                Record::injected(start(&bytes, len.saturating_sub(1))),
                Err(Error::Length)
            );
        }
        assert_eq!(Record::injected(&[]), Err(Error::Length));
    }

    #[test]
    fn injection_refuses_meta() {
        assert_eq!(Record::injected(&bytes(META, 24)), Err(Error::Meta));
        assert!(Record::injected(&bytes(99, 24)).is_ok());
        assert!(Record::injected(&bytes(0x00ff_ffff, 24)).is_ok());
    }

    #[test]
    fn injection_refuses_tags() {
        for bit in 0..32 {
            let bytes = bytes(1, 24 | 1 << bit);
            let result = Record::injected(&bytes);

            if 1 << bit & INFO_ID != 0 {
                assert_eq!(result, Err(Error::Tag));
            } else if 1 << bit & !INFO_LENGTH != 0 {
                assert!(result.is_ok());
            }
        }
    }
}
