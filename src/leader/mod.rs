//! Who leads: of all Curfews one holds the Lease, and only that one writes to the cluster.
//!
//! [`election`] holds the Lease, as [`lease`] decides without I/O, and [`leadership`] is asked before a look and again
//! before every write. Who begins to lead knows nothing but the stamps.

pub mod election;
pub mod leadership;
pub mod lease;
