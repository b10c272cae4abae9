//! What must hold for any octets, one module per target: `run` takes them and panics where it does not hold.

pub mod announcement;
pub mod clip;
pub mod cpi;
pub mod document;
pub mod expression;
pub mod frame;
pub mod head;
pub mod image;
pub mod imap;
pub mod jpeg;
pub mod mime;
pub mod transaction;
