//! The content store, its links, and the HTTP GET that adapts (RFC 4483).
