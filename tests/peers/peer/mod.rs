//! One file per peer.

mod disk;
mod durability;
mod sipp;
