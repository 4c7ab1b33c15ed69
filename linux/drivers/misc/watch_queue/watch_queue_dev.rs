// SPDX-License-Identifier: GPL-2.0

//! `/dev/watch_queue`: notifications in a ring that user space maps.
//!
//! Every open makes a queue. [`device`] has the system calls, [`queue`] is what the core posts to,
//! [`shared`] the memory that user space maps. What is in there and how it gets there, that is
//! [`record`], [`ring`] and [`filter`], knows nothing of the kernel and is tested outside of it
//! too.
//!
//! See `Documentation/userspace-api/watch_queue/device.rst`.

use kernel::{
    miscdevice::MiscDeviceOptions,
    prelude::*,
    watch_queue::DeviceRegistration, //
};

#[cfg(CONFIG_WATCH_QUEUE_DEV_KUNIT_BENCH)]
mod bench;
mod device;
mod filter;
mod queue;
mod record;
mod ring;
mod shared;
#[cfg(CONFIG_WATCH_QUEUE_DEV_KUNIT_TEST)]
mod tests;
mod uapi;

use device::File;

module! {
    type: WatchQueueModule,
    name: "watch_queue_dev",
    authors: ["The watch queue developers"],
    description: "Notifications in a ring that user space maps",
    license: "GPL",
}

#[pin_data]
struct WatchQueueModule {
    #[pin]
    _device: DeviceRegistration<File>,
}

impl kernel::InPlaceModule for WatchQueueModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _device <- DeviceRegistration::register(MiscDeviceOptions {
                name: c"watch_queue",
                // Opening it gives a queue and nothing else: the objects say who may watch them.
                mode: 0o666,
            }),
        })
    }
}
