//! From a chosen plan to octets.
