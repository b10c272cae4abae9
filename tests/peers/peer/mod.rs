//! One file per peer.

mod calls;
mod disk;
mod durability;
mod offline;
mod sipp;
