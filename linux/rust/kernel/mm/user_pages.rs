// SPDX-License-Identifier: GPL-2.0

//! Kernel memory that user space maps.

use super::virt::VmaNew;
use crate::{
    alloc::{
        allocator::Vmalloc,
        Flags, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::Atomic,
        barrier::barrier, //
    }, //
};
use core::{
    hint::assert_unchecked,
    ptr::NonNull, //
};

/// Zeroed memory, contiguous in the kernel, that can be mapped to user space as well.
///
/// What user space can write changes at any time, so there are no references to the bytes. All
/// access is by whole words, each by itself atomic. Nothing that is read can be relied on, not even
/// to be what the kernel stored there a moment ago.
///
/// Mappings have references of their own on the pages: they may outlive this.
///
/// # Invariants
///
/// - `start` is the first byte of the allocation that `memory` owns, of `len` bytes, which are one
///   or more whole pages, and is page-aligned, as all vmalloc memory is.
/// - Apart from the zeroing when it was allocated, the kernel accesses that memory only through
///   [`Atomic`], or by volatile accesses to aligned words, which are what relaxed ones are made of.
///
/// # Examples
///
/// ```
/// use kernel::{
///     mm::user_pages::UserPages,
///     page::PAGE_SIZE,
///     sync::atomic::{Acquire, Release}, //
/// };
///
/// let memory = UserPages::new(2, GFP_KERNEL_ACCOUNT)?;
/// assert_eq!(memory.len(), 2 * PAGE_SIZE);
///
/// let last = memory.u32_at(2 * PAGE_SIZE - 4).ok_or(EINVAL)?;
/// assert_eq!(last.load(Acquire), 0);
/// last.store(7, Release);
/// assert_eq!(memory.u32_at(2 * PAGE_SIZE - 4).ok_or(EINVAL)?.load(Acquire), 7);
///
/// // Neither a word that is not wholly inside nor a misaligned one.
/// assert!(memory.u32_at(2 * PAGE_SIZE).is_none());
/// assert!(memory.u64_at(2 * PAGE_SIZE - 4).is_none());
/// assert!(memory.u64_at(4).is_none());
/// assert!(memory.u32_at(usize::MAX - 3).is_none());
///
/// assert!(UserPages::new(0, GFP_KERNEL_ACCOUNT).is_err());
/// # Ok::<(), Error>(())
/// ```
pub struct UserPages {
    /// Owns the memory. Its length is 0, as there is nothing in it that a `Vec` may hand out.
    _memory: VVec<[u8; PAGE_SIZE]>,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: The memory can be freed by any thread.
unsafe impl Send for UserPages {}
// SAFETY: By the type invariants all access to the memory is atomic.
unsafe impl Sync for UserPages {}

impl UserPages {
    /// Allocates `pages` pages of zeroed memory.
    ///
    /// Returns [`EINVAL`] for no pages and [`ENOMEM`] if there is not enough memory. May sleep if
    /// `flags` say so.
    pub fn new(pages: usize, flags: Flags) -> Result<Self> {
        if pages == 0 {
            return Err(EINVAL);
        }
        let mut memory = VVec::with_capacity(pages, flags | __GFP_ZERO)?;

        // INVARIANT: `memory` never reallocates, as nobody uses it from here on.
        Ok(Self {
            start: NonNull::new(memory.as_mut_ptr()).ok_or(ENOMEM)?.cast(),
            _memory: memory,
            len: pages * PAGE_SIZE,
        })
    }

    /// Returns the size in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the 32-bit word at a byte offset, [`None`] if that is misaligned or outside.
    #[inline]
    pub fn u32_at(&self, offset: usize) -> Option<&Atomic<u32>> {
        let word = self.word_at(offset)?;
        // SAFETY: `word_at()` returns a pointer to an aligned word that is as valid as `self`. By
        // the type invariants there are no accesses that are not atomic.
        Some(unsafe { Atomic::from_ptr(word) })
    }

    /// Returns the 64-bit word at a byte offset, [`None`] if that is misaligned or outside.
    #[inline]
    pub fn u64_at(&self, offset: usize) -> Option<&Atomic<u64>> {
        let word = self.word_at(offset)?;
        // SAFETY: As in `u32_at()`.
        Some(unsafe { Atomic::from_ptr(word) })
    }

    /// Stores bytes at a byte offset, in whole 64-bit words, the last one filled with zeroes.
    ///
    /// Returns [`EINVAL`], and stores nothing, if the offset is misaligned or not all would lie
    /// inside. The stores are relaxed, of whole words on 64-bit machines and of halves on others.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::{
    ///     mm::user_pages::UserPages,
    ///     page::PAGE_SIZE,
    ///     sync::atomic::Relaxed, //
    /// };
    ///
    /// let memory = UserPages::new(1, GFP_KERNEL_ACCOUNT)?;
    /// let load = |offset| memory.u64_at(offset).map(|word| word.load(Relaxed));
    ///
    /// memory.store_bytes(PAGE_SIZE - 16, &[1; 9])?;
    /// assert_eq!(load(PAGE_SIZE - 16), Some(0x0101_0101_0101_0101));
    /// assert_eq!(load(PAGE_SIZE - 8), Some(u64::from_ne_bytes([1, 0, 0, 0, 0, 0, 0, 0])));
    ///
    /// assert!(memory.store_bytes(PAGE_SIZE - 8, &[2; 9]).is_err());
    /// assert!(memory.store_bytes(4, &[2]).is_err());
    /// assert!(memory.store_bytes(PAGE_SIZE + 8, &[]).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    #[inline(always)]
    pub fn store_bytes(&self, offset: usize, bytes: &[u8]) -> Result {
        let end = offset.checked_add(bytes.len()).ok_or(EINVAL)?;
        if offset % size_of::<u64>() != 0 || end > self.len {
            return Err(EINVAL);
        }

        let from = bytes.as_ptr().cast::<u64>();
        let whole = bytes.len() / size_of::<u64>();
        let rest = bytes.chunks_exact(size_of::<u64>()).remainder();

        // SAFETY: `offset` is inside the allocation, or just behind it.
        let to = unsafe { self.start.as_ptr().add(offset) }.cast::<u64>();
        if !rest.is_empty() {
            // SAFETY: All words up to the end of `bytes` lie inside, by the checks above, and are
            // aligned; the length of the memory is a multiple of the size of a word, so that all of
            // the last one lies inside too. A volatile store is `WRITE_ONCE()`, which is what an
            // atomic one without an ordering is.
            unsafe { to.add(whole).write_volatile(filled(rest)) };
        }
        // Counting down makes the shortest loop.
        for index in (0..whole).rev() {
            // SAFETY: There are `whole` words in `bytes`.
            let word = unsafe { from.add(index).read_unaligned() };
            // SAFETY: As above.
            unsafe { to.add(index).write_volatile(word) };
            // What is stored is short: it takes longer to find out how to unroll the loop.
            barrier();
        }
        Ok(())
    }

    /// Returns a pointer to an aligned `T` that lies wholly inside.
    #[inline]
    fn word_at<T>(&self, offset: usize) -> Option<*mut T> {
        // SAFETY: By the type invariants there are whole pages, and at least one. What is at a
        // constant offset in the first one needs no check when this is known.
        unsafe { assert_unchecked(self.len >= PAGE_SIZE) };
        if offset % size_of::<T>() != 0 || offset >= self.len {
            return None;
        }
        // SAFETY: `offset` is inside the allocation, and as the size of that is a multiple of the
        // size of `T`, just as `offset` is, so is all of the word.
        Some(unsafe { self.start.as_ptr().add(offset) }.cast())
    }

    /// Maps the memory, or the part of it that `vma` asks for, to user space.
    ///
    /// Returns [`EINVAL`] if `vma` is not wholly inside. Makes no other demand on `vma`: whether it
    /// may be private, or grow, is for the caller to say.
    pub fn map(&self, vma: &VmaNew) -> Result {
        let length = vma.end() - vma.start();
        let first = vma
            .pgoff()
            .checked_mul(PAGE_SIZE)
            .filter(|first| matches!(first.checked_add(length), Some(end) if end <= self.len()))
            .ok_or(EINVAL)?;

        let mapping = vma.set_mixedmap();
        for offset in (0..length).step_by(PAGE_SIZE) {
            // SAFETY: `first + offset` is inside the allocation, as `first + length` is at most its
            // size.
            let address = unsafe { self.start.add(first + offset) };
            // SAFETY: `address` is in a `Vmalloc` allocation that is as valid as `self`.
            let page = unsafe { Vmalloc::to_page(address) };
            mapping.vm_insert_page(vma.start() + offset, &page)?;
        }
        Ok(())
    }
}

/// Returns the word that starts with these bytes, which are less than it holds, and zeroes.
#[cold]
#[inline(never)]
fn filled(bytes: &[u8]) -> u64 {
    let mut word = [0; size_of::<u64>()];

    word.iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    u64::from_ne_bytes(word)
}
