//! Durable key spaces with compare-and-swap and group commit. Knows no SIP.
