// SPDX-License-Identifier: GPL-2.0

//! Watch queues.
//!
//! A watch queue is where the kernel posts notifications of events to. The core, in C, keeps the
//! watches on objects and distributes each event to the queues behind them; a [`Backend`] stores
//! the records. One lock for each queue, held by the core, decides between posting and closing:
//! who has it has the back end all to itself.
//!
//! The part that the core refers to, [`Queue`], is counted and may be dropped by an RCU callback.
//! It is open for as long as its [`OwnedQueue`] lives, which normally is in an open file of a
//! [`Device`].
//!
//! C header: [`include/linux/watch_queue.h`](srctree/include/linux/watch_queue.h)
//!
//! # Examples
//!
//! A queue that only counts, and its filter, the one type it takes.
//!
//! ```
//! use kernel::{
//!     prelude::*,
//!     watch_queue::{Backend, OwnedQueue}, //
//! };
//!
//! #[derive(Default)]
//! struct Counter {
//!     records: usize,
//!     missed: usize,
//!     withheld: bool,
//! }
//!
//! #[vtable]
//! impl Backend for Counter {
//!     type Filter = u8;
//!
//!     fn accept_types(filter: &u8) -> u32 {
//!         1 << *filter
//!     }
//!
//!     fn matches(filter: &u8, record: &[u8]) -> bool {
//!         record.contains(filter)
//!     }
//!
//!     fn post(&mut self, _record: &[u8]) -> bool {
//!         self.records += 1;
//!         self.records == 1
//!     }
//!
//!     fn wake(&mut self) {}
//!
//!     fn unread(&mut self) -> Option<u32> {
//!         Some(self.records as u32)
//!     }
//!
//!     fn lose(&mut self, _kind: u32) {
//!         self.missed += 1;
//!     }
//!
//!     fn lost(&mut self) {
//!         self.withheld = true;
//!     }
//!
//!     fn close(&mut self) {}
//! }
//!
//! let queue = OwnedQueue::new(Counter::default())?;
//! assert!(queue.lock().post(&[0; 8]));
//! queue.lock().lose(1);
//! assert_eq!(queue.lock().records, 1);
//! assert_eq!(queue.lock().missed, 1);
//! assert!(!queue.lock().withheld);
//!
//! // Without a filter it wants everything.
//! assert!(queue.wants(&[0; 8]));
//! queue.set_filter(Some(KBox::new(1, GFP_KERNEL)?));
//! assert!(!queue.wants(&[0; 8]));
//! assert!(queue.wants(&[1; 8]));
//! queue.set_filter(None);
//! assert!(queue.wants(&[0; 8]));
//! # Ok::<(), Error>(())
//! ```

use crate::{
    bindings, container_of,
    error::{
        from_err_ptr,
        to_result, //
    },
    fs::LocalFile,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        lock::{
            self,
            spinlock::SpinLockIrqBackend, //
        },
        rcu, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

/// What makes a queue the kind of queue that it is: `struct watch_queue_ops` in C.
///
/// A record is a `struct watch_notification`, in the byte order of the machine, as long as its own
/// length field says. A source may get that wrong.
///
/// The methods that take `&mut self` are called with the queue's lock held and interrupts off.
/// Dropping must not sleep, whether that of the back end or that of its filter.
///
/// Watches may refer to a queue for longer than any file does. The queue pins the module of its
/// back end until the last of them is gone.
#[vtable]
pub trait Backend: Send + 'static {
    /// Says which records the queue wants.
    type Filter: Send + Sync + 'static;

    /// Returns the types that a filter can match: a bit for each below 31, the top bit for others.
    ///
    /// Records of other types are dropped without asking [`Backend::matches`].
    fn accept_types(filter: &Self::Filter) -> u32;

    /// Returns whether a filter lets a record pass.
    ///
    /// Called in any context, and without the queue's lock.
    fn matches(filter: &Self::Filter, record: &[u8]) -> bool;

    /// Stores a record, or notes that it was lost.
    ///
    /// Returns whether a reader is to be woken, now or later: it waits, and had taken everything.
    fn post(&mut self, record: &[u8]) -> bool;

    /// Wakes the reader.
    fn wake(&mut self);

    /// Returns where the newest record ends, a number that each record changes; [`None`] if the
    /// reader has taken it.
    fn unread(&mut self) -> Option<u32>;

    /// Notes that a record of this type was lost before it could be made, and wakes the reader.
    fn lose(&mut self, kind: u32);

    /// Notes that the security policy withheld a record that the filter let pass.
    ///
    /// Which, how many and when is not to be told.
    fn lost(&mut self);

    /// Lets go of what records are stored in. Nothing is posted after this.
    fn close(&mut self);
}

/// The counted part of a queue, which watches refer to.
///
/// # Invariants
///
/// - `inner` is initialised, with the operations of `Self`.
/// - The filter of `inner` is null or from `KBox<B::Filter>::into_raw()`. Whoever removes it from
///   there owns it after a grace period.
/// - `backend` is accessed only with the lock of `inner` held, or when no reference is left.
#[repr(C)]
pub struct Queue<B: Backend> {
    inner: Opaque<bindings::watch_queue>,
    backend: UnsafeCell<B>,
}

// SAFETY: The lock of `inner` serialises access to the back end, which is `Send`; filters are
// `Send` and `Sync`. All else that can be done with a reference the C side serialises.
unsafe impl<B: Backend> Sync for Queue<B> {}

impl<B: Backend> Queue<B> {
    const OPS: &'static bindings::watch_queue_ops = &bindings::watch_queue_ops {
        owner: this_module::<B::OwnerModule>().as_ptr(),
        match_: Some(Self::match_callback),
        post: Some(Self::post_callback),
        wake: Some(Self::wake_callback),
        unread: Some(Self::unread_callback),
        lose: Some(Self::lose_callback),
        lost: Some(Self::lost_callback),
        close: Some(Self::close_callback),
        release: Some(Self::release_callback),
    };

    /// Returns a pointer to the C part.
    #[inline]
    fn as_raw(&self) -> *mut bindings::watch_queue {
        self.inner.get()
    }

    /// Locks the queue, which gives access to its back end.
    ///
    /// Interrupts are off until the guard is dropped.
    #[inline]
    pub fn lock(&self) -> Guard<'_, B> {
        // SAFETY: `inner` is initialised, and so is its lock, which lives as long as `self`.
        let lock = unsafe { lock::Lock::from_raw(&raw mut (*self.as_raw()).lock) };

        // INVARIANT: This is the guard of the lock of `self`.
        Guard {
            queue: self,
            _lock: lock.lock(),
            _backend: PhantomData,
        }
    }

    /// Sets which records the queue takes: those that match the filter, or all for [`None`].
    ///
    /// Waits for posters that still go by the previous filter: when this returns, so do none. May
    /// sleep.
    pub fn set_filter(&self, filter: Option<KBox<B::Filter>>) {
        let types = filter.as_deref().map_or(u32::MAX, B::accept_types);
        let filter = filter.map_or(ptr::null_mut(), KBox::into_raw);

        // SAFETY: `inner` is initialised.
        // INVARIANT: The filter is null or from `KBox::into_raw()`.
        let previous =
            unsafe { bindings::watch_queue_replace_filter(self.as_raw(), filter.cast(), types) };

        rcu::synchronize_rcu();
        if !previous.is_null() {
            // SAFETY: By the type invariants it came from `KBox<B::Filter>::into_raw()`, and it is
            // ours a grace period after we removed it.
            drop(unsafe { KBox::<B::Filter>::from_raw(previous.cast()) });
        }
    }

    /// Returns whether the filter lets a record pass.
    pub fn wants(&self, record: &[u8]) -> bool {
        let _guard = rcu::read_lock();

        // SAFETY: `inner` is initialised. The pointer is read as `rcu_dereference()` reads it, by a
        // volatile load whose value later accesses depend on, under the RCU read-lock.
        let filter = unsafe { ptr::read_volatile(&raw const (*self.as_raw()).filter) };

        // SAFETY: By the type invariants a filter is a valid `B::Filter` for as long as the RCU
        // read-lock is held.
        filter.is_null() || B::matches(unsafe { &*filter.cast::<B::Filter>() }, record)
    }

    /// Prints a line for each watch that posts to the queue, for fdinfo.
    pub fn show_watches(&self, m: &SeqFile) {
        // SAFETY: Both are valid for the duration of the call.
        unsafe { bindings::watch_queue_show_watches(self.as_raw(), m.as_raw()) }
    }

    /// # Safety
    ///
    /// `filter` must be a filter of a `Queue<B>` that stays valid during the call, and `record` a
    /// record.
    unsafe extern "C" fn match_callback(
        filter: *const c_void,
        record: *const bindings::watch_notification,
    ) -> bool {
        // SAFETY: By the type invariants it is a `B::Filter`, and the caller keeps it valid.
        let filter = unsafe { &*filter.cast::<B::Filter>() };
        // SAFETY: The caller provides a record.
        B::matches(filter, unsafe { record_bytes(record) })
    }

    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` and locked, `record` must be a record.
    unsafe extern "C" fn post_callback(
        queue: *mut bindings::watch_queue,
        record: *const bindings::watch_notification,
    ) -> bool {
        // SAFETY: The caller provides a locked queue.
        let backend = unsafe { Self::backend(queue) };
        // SAFETY: The caller provides a record.
        backend.post(unsafe { record_bytes(record) })
    }

    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` and locked.
    unsafe extern "C" fn wake_callback(queue: *mut bindings::watch_queue) {
        // SAFETY: The caller provides a locked queue.
        let backend = unsafe { Self::backend(queue) };
        backend.wake()
    }

    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` and locked, `head` must be valid for a write.
    unsafe extern "C" fn unread_callback(
        queue: *mut bindings::watch_queue,
        head: *mut u32,
    ) -> bool {
        // SAFETY: The caller provides a locked queue.
        let backend = unsafe { Self::backend(queue) };
        let Some(end) = backend.unread() else {
            return false;
        };

        // SAFETY: The caller makes sure that it is valid.
        unsafe { *head = end };
        true
    }

    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` and locked.
    unsafe extern "C" fn lose_callback(queue: *mut bindings::watch_queue, kind: u32) {
        // SAFETY: The caller provides a locked queue.
        let backend = unsafe { Self::backend(queue) };
        backend.lose(kind)
    }

    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` and locked.
    unsafe extern "C" fn lost_callback(queue: *mut bindings::watch_queue) {
        // SAFETY: The caller provides a locked queue.
        let backend = unsafe { Self::backend(queue) };
        backend.lost()
    }

    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` and locked.
    unsafe extern "C" fn close_callback(queue: *mut bindings::watch_queue) {
        // SAFETY: The caller provides a locked queue.
        let backend = unsafe { Self::backend(queue) };
        backend.close()
    }

    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` to which no reference is left.
    unsafe extern "C" fn release_callback(queue: *mut bindings::watch_queue) {
        // SAFETY: `inner` comes first in `Queue`, which was allocated as a `KBox`, and nobody else
        // refers to it any more.
        let queue = unsafe { KBox::<Self>::from_raw(queue.cast()) };
        // SAFETY: `inner` is initialised.
        let filter = unsafe { (*queue.as_raw()).filter };

        if !filter.is_null() {
            // SAFETY: By the type invariants it came from `KBox<B::Filter>::into_raw()`. There are
            // no posters left that could look at it.
            drop(unsafe { KBox::<B::Filter>::from_raw(filter.cast()) });
        }
    }

    /// Returns the back end of a queue that is locked.
    ///
    /// # Safety
    ///
    /// `queue` must be the `inner` of a `Queue<B>` and locked by the caller for all of `'a`, who
    /// must have no other reference to its back end.
    #[inline]
    unsafe fn backend<'a>(queue: *mut bindings::watch_queue) -> &'a mut B {
        // SAFETY: `inner` comes first in `Queue`. The lock makes the reference the only one.
        unsafe { &mut *(*queue.cast::<Self>()).backend.get() }
    }
}

/// Returns the bytes of a record.
///
/// # Safety
///
/// `record` must be valid for as many bytes as its length field says, and for those of the struct
/// itself, and must not change, for all of `'a`.
#[inline]
unsafe fn record_bytes<'a>(record: *const bindings::watch_notification) -> &'a [u8] {
    // SAFETY: The caller guarantees that the struct is valid.
    let length = unsafe { (*record).info } & bindings::WATCH_INFO_LENGTH;

    // SAFETY: The caller guarantees that it is valid for that length.
    unsafe { slice::from_raw_parts(record.cast(), length as usize) }
}

/// A locked queue, through which its back end is accessed.
///
/// # Invariants
///
/// `_lock` holds the lock of `queue`.
pub struct Guard<'a, B: Backend> {
    queue: &'a Queue<B>,
    _lock: lock::Guard<'a, (), SpinLockIrqBackend>,
    // What the lock does not know: this is as good as the only reference to the back end, so it can
    // be shared only if that can.
    _backend: PhantomData<&'a mut B>,
}

impl<B: Backend> Deref for Guard<'_, B> {
    type Target = B;

    #[inline]
    fn deref(&self) -> &B {
        // SAFETY: By the type invariants the lock is held.
        unsafe { &*self.queue.backend.get() }
    }
}

impl<B: Backend> DerefMut for Guard<'_, B> {
    #[inline]
    fn deref_mut(&mut self) -> &mut B {
        // SAFETY: By the type invariants the lock is held.
        unsafe { &mut *self.queue.backend.get() }
    }
}

/// An open queue, which dropping this closes.
///
/// # Invariants
///
/// The pointer is to a queue that has not been closed, and owns a reference on it.
pub struct OwnedQueue<B: Backend>(NonNull<Queue<B>>);

// SAFETY: A reference on a queue can be dropped by any thread, and so can the back end.
unsafe impl<B: Backend> Send for OwnedQueue<B> {}
// SAFETY: It gives access to a `Queue`, which is `Sync`.
unsafe impl<B: Backend> Sync for OwnedQueue<B> {}

impl<B: Backend> OwnedQueue<B> {
    /// Creates a queue. May sleep.
    pub fn new(backend: B) -> Result<Self> {
        let queue = KBox::new(
            Queue {
                inner: Opaque::zeroed(),
                backend: UnsafeCell::new(backend),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        let queue = KBox::into_raw(queue);

        // SAFETY: The memory is valid and stays where it is until `release_callback()`.
        // INVARIANT: This initialises `inner` and leaves one reference, which is ours.
        unsafe { bindings::init_watch_queue(queue.cast(), Queue::<B>::OPS) };

        // SAFETY: It comes from a `KBox`.
        Ok(Self(unsafe { NonNull::new_unchecked(queue) }))
    }
}

impl<B: Backend> Deref for OwnedQueue<B> {
    type Target = Queue<B>;

    #[inline]
    fn deref(&self) -> &Queue<B> {
        // SAFETY: By the type invariants we own a reference.
        unsafe { self.0.as_ref() }
    }
}

impl<B: Backend> Drop for OwnedQueue<B> {
    fn drop(&mut self) {
        let queue = self.0.as_ptr().cast();

        // SAFETY: The queue is valid, as we have a reference.
        unsafe { bindings::watch_queue_clear(queue) };
        // SAFETY: The reference is ours to give up, and the pointer is that to all of the `Queue`.
        unsafe { bindings::put_watch_queue(queue) };
    }
}

/// A misc device whose open files are queues.
pub trait Device: MiscDevice {
    /// Where the queues store records.
    type Backend: Backend;

    /// Returns the queue of an open file. Must not sleep.
    fn queue<'a>(file: <Self::Ptr as ForeignOwnable>::Borrowed<'a>) -> &'a Queue<Self::Backend>
    where
        Self: 'a;
}

/// The registration of a [`Device`], with which its files can be named to the system calls that set
/// watches.
#[pin_data(PinnedDrop)]
pub struct DeviceRegistration<T: Device + 'static> {
    #[pin]
    misc: MiscDeviceRegistration<T>,
    #[pin]
    inner: Opaque<bindings::watch_queue_device>,
}

// SAFETY: The device can be unregistered by any thread.
unsafe impl<T: Device> Send for DeviceRegistration<T> {}
// SAFETY: There is nothing that can be done with a reference.
unsafe impl<T: Device> Sync for DeviceRegistration<T> {}

impl<T: Device> DeviceRegistration<T> {
    /// Registers a device. Returns [`EBUSY`] if there is one already.
    pub fn register(options: MiscDeviceOptions) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            misc <- MiscDeviceRegistration::register(options),
            inner <- Opaque::try_ffi_init(|slot: *mut bindings::watch_queue_device| {
                // SAFETY: The slot is valid for writes.
                unsafe { (*slot).get_queue = Some(Self::get_queue_callback) };
                // SAFETY: The slot stays where it is, as it is pinned, and `drop()` unregisters it.
                to_result(unsafe { bindings::watch_queue_register_device(slot) })
            }),
        })
    }

    /// # Safety
    ///
    /// `device` must be the `inner` of a `DeviceRegistration<T>` that is registered, and `file` a
    /// file with a reference held by the caller.
    unsafe extern "C" fn get_queue_callback(
        device: *mut bindings::watch_queue_device,
        file: *mut bindings::file,
    ) -> *mut bindings::watch_queue {
        // SAFETY: The caller guarantees that `device` is inside a `DeviceRegistration<T>`, which is
        // pinned and unregisters `device` before it goes away.
        let misc = unsafe { &(*container_of!(Opaque::cast_from(device), Self, inner)).misc };
        // SAFETY: The caller holds a reference on the file.
        let file = unsafe { LocalFile::from_raw_file(file) };

        let Some(file) = misc.borrow_file(file) else {
            return ptr::null_mut();
        };
        let queue = T::queue(file).as_raw();

        // SAFETY: The file's reference on the queue keeps it valid.
        unsafe { bindings::refcount_inc(&raw mut (*queue).usage.refcount) };
        queue
    }
}

#[pinned_drop]
impl<T: Device> PinnedDrop for DeviceRegistration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: It was registered when `self` was initialised.
        unsafe { bindings::watch_queue_unregister_device(self.inner.get()) };
    }
}

/// Memory of a queue that is charged to the user who asked for it, until this is dropped.
///
/// # Invariants
///
/// `user` is what `watch_queue_charge()` returned for `pages`.
pub struct LockedMemory {
    user: *mut bindings::user_struct,
    pages: usize,
}

// SAFETY: The charge can be undone by any thread.
unsafe impl Send for LockedMemory {}
// SAFETY: There is nothing that can be done with a reference.
unsafe impl Sync for LockedMemory {}

impl LockedMemory {
    /// Charges pages to the current user.
    ///
    /// Returns [`ENOMEM`] if that is more than `RLIMIT_MEMLOCK` leaves. With `CAP_IPC_LOCK` nothing
    /// is charged.
    pub fn charge(pages: usize) -> Result<Self> {
        // SAFETY: The function looks at the current task, which is always valid, and never sleeps.
        let user = from_err_ptr(unsafe { bindings::watch_queue_charge(pages) })?;

        // INVARIANT: `user` is what was just returned.
        Ok(Self { user, pages })
    }
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this undoes what `charge()` did.
        unsafe { bindings::watch_queue_uncharge(self.user, self.pages) };
    }
}
