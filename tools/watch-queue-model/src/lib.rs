// SPDX-License-Identifier: GPL-2.0

//! Host tests of the part of the /dev/watch_queue driver that does not know where it runs.
//!
//! The three files below are those that the kernel compiles. Their own unit tests run here too; the
//! modules of this crate add
//!
//! - `model`: random operations, compared with a queue that is too simple to be wrong;
//! - [`hostile`]: a user that writes anything anywhere, as a property and as a fuzz target;
//! - `orderings`: every interleaving and reordering of a post with a reader that goes to sleep,
//!   and proof that each barrier is needed.

// What of the files only the driver uses is dead here.
#![cfg_attr(not(test), allow(dead_code))]

// What would panic on an input would be an oops in the kernel: for `cargo clippy` to find.
#[path = "../../../linux/drivers/misc/watch_queue/filter.rs"]
#[deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
mod filter;
#[path = "../../../linux/drivers/misc/watch_queue/record.rs"]
#[deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
mod record;
#[path = "../../../linux/drivers/misc/watch_queue/ring.rs"]
#[deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
mod ring;

pub mod hostile;
mod memory;
mod reader;

#[cfg(test)]
mod model;
#[cfg(test)]
#[allow(unsafe_code)]
mod orderings;
