// SPDX-License-Identifier: GPL-2.0

//! What the UAPI header defines, and that [`record`], [`ring`] and [`filter`] agree with it.

use super::{
    filter,
    record,
    ring, //
};
use core::mem::offset_of;
use kernel::{
    ioctl::_IO,
    uapi::{
        self,
        watch_notification,
        watch_notification_filter,
        watch_notification_loss,
        watch_notification_type_filter,
        watch_queue_ring, //
    }, //
};

/// `IOC_WATCH_QUEUE_SET_SIZE`: sets the size in pages, once.
pub(crate) const SET_SIZE: u32 = _IO('W' as u32, 0x60);

/// `IOC_WATCH_QUEUE_SET_FILTER`: sets or removes the filter.
pub(crate) const SET_FILTER: u32 = _IO('W' as u32, 0x61);

/// Most pages that a ring can have.
pub(crate) const MAX_PAGES: usize = uapi::WATCH_QUEUE_MAX_PAGES as usize;

/// Number of types: those from here on are unknown.
pub(crate) const NR_TYPES: u32 = uapi::watch_notification_type_WATCH_TYPE__NR;

/// Where `head` is in the header of the ring.
pub(crate) const HEAD: usize = offset_of!(watch_queue_ring, head);

/// Where `tail` is in the header of the ring.
pub(crate) const TAIL: usize = offset_of!(watch_queue_ring, tail);

/// How long the header of the user's filter is, before the rules.
pub(crate) const FILTER_HEADER: usize = size_of::<watch_notification_filter>();

/// A rule of the user's filter, as words.
pub(crate) type Rule = [u32; filter::RULE_WORDS];

const SLOT: usize = record::SLOT_SIZE as usize;

const _: () = {
    assert!(size_of::<watch_notification>() == SLOT);
    assert!(record::META == uapi::watch_notification_type_WATCH_TYPE_META);
    assert!(
        record::LOSS as u32 == uapi::watch_meta_notification_subtype_WATCH_META_LOSS_NOTIFICATION
    );
    assert!(
        record::SKIP as u32 == uapi::watch_meta_notification_subtype_WATCH_META_SKIP_NOTIFICATION
    );
    assert!(record::INFO_LENGTH == uapi::WATCH_INFO_LENGTH);
    assert!(record::INFO_ID == uapi::WATCH_INFO_ID);
    assert!(size_of::<watch_notification_loss>() == record::LOSS_SLOTS as usize * SLOT);
    assert!(offset_of!(watch_notification_loss, nr_lost) == SLOT);
    assert!(offset_of!(watch_notification_loss, types) == 2 * SLOT);
};

const _: () = {
    assert!(size_of::<watch_queue_ring>() == ring::HEADER_SLOTS as usize * SLOT);
    assert!(HEAD == SLOT);
    assert!(offset_of!(watch_queue_ring, mask) == HEAD + 4);
    assert!(offset_of!(watch_queue_ring, lost) == 2 * SLOT);
    assert!(offset_of!(watch_queue_ring, version) == 3 * SLOT);
    assert!(offset_of!(watch_queue_ring, flags) == 3 * SLOT + 4);
    assert!(TAIL == 8 * SLOT);
    assert!(ring::VERSION == uapi::WATCH_QUEUE_RING_VERSION);
    assert!(ring::OVERRUN == uapi::WATCH_QUEUE_RING_OVERRUN);
    assert!(ring::CORRUPT == uapi::WATCH_QUEUE_RING_CORRUPT);
    assert!(ring::POLICY == uapi::WATCH_QUEUE_RING_POLICY);
};

const _: () = {
    assert!(size_of::<watch_notification_type_filter>() == size_of::<Rule>());
    assert!(offset_of!(watch_notification_type_filter, type_) == 0);
    assert!(offset_of!(watch_notification_type_filter, info_filter) == 4);
    assert!(offset_of!(watch_notification_type_filter, info_mask) == 8);
    assert!(offset_of!(watch_notification_type_filter, subtype_filter) == 12);
};
