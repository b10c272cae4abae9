//! From a body and a terminal to a plan, and from the plan to a body that fits. CPU only: no sockets, no clock, no SIP.

pub mod image;
pub mod text;
