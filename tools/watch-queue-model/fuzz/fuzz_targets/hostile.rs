// SPDX-License-Identifier: GPL-2.0

//! Runs what the fuzzer makes up; `cargo test` in the crate above runs a bounded share of it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| watch_queue_model::hostile::hostile(data));
