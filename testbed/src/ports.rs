//! Free ports for many planes at once.
//!
//! A plane takes a block of ports below the kernel's ephemeral range (so that no outgoing connection can take one
//! between two runs of a component) and holds a lock on a file of the block's name for as long as it lives.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result, bail};

/// Linux gives 32768 and above to outgoing connections, macOS 49152 and above.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
/// What a plane with several Curfews needs, and room.
const BLOCK: u16 = 32;

/// A block of ports that no other plane uses while this value lives.
pub(crate) struct Ports {
    first: u16,
    used: AtomicU16,
    _lock: File,
}

// === impl Ports ===

impl Ports {
    /// Takes a free block, starting the search at a random one.
    pub fn take() -> Result<Self> {
        let dir = crate::tools::cache_root()?.join("ports");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let blocks = RANGE.len() as u64 / u64::from(BLOCK);
        let start = RandomState::new().build_hasher().finish();
        for n in 0..blocks {
            let index = u16::try_from((start.wrapping_add(n)) % blocks)?;
            let first = RANGE.start + index * BLOCK;
            let path = dir.join(first.to_string());
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let lock = file.with_context(|| format!("cannot open {}", path.display()))?;
            if lock.try_lock().is_ok() {
                return Ok(Self {
                    first,
                    used: AtomicU16::new(0),
                    _lock: lock,
                });
            }
        }
        bail!(
            "no block of ports is free: {blocks} planes are running (locks in {})",
            dir.display()
        );
    }

    /// The block's next port on which nobody listens.
    pub fn next(&self) -> Result<u16> {
        loop {
            let n = self.used.fetch_add(1, Ordering::Relaxed);
            if n >= BLOCK {
                bail!("all {BLOCK} ports of this plane are used up");
            }
            let port = self.first + n;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_planes_never_share_a_port() {
        let (one, two) = (Ports::take().unwrap(), Ports::take().unwrap());
        let mut ports: Vec<u16> = (0..8).map(|_| one.next().unwrap()).collect();
        ports.extend((0..8).map(|_| two.next().unwrap()));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 16);
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let ports = Ports::take().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.first)).unwrap();
        assert_ne!(ports.next().unwrap(), taken.local_addr().unwrap().port());
    }
}
