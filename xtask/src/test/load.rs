//! Other work on the same processors, as tests find it on a shared machine.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A thread for each processor, which computes until this is dropped: a single other thread there gets half of it.
pub struct Load {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

// === impl Load ===

impl Load {
    /// Begins to compute.
    pub fn start() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let ends = Arc::new(AtomicBool::new(false));
        let compute = |_| {
            let ends = Arc::clone(&ends);
            thread::spawn(move || {
                let mut number = 0_u64;
                while !ends.load(Ordering::Relaxed) {
                    number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
            })
        };
        Self {
            threads: (0..processors).map(compute).collect(),
            ends,
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It only computes.
            let _ = thread.join();
        }
    }
}
