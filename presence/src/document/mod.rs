//! Presence documents: read, composed, written. RFC 3863, 4479, 4480, 4482; CPI.md 5.
