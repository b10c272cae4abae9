//! Heads of pictures.

use super::{Guards, ImageError, Kind, Probe};

/// What the head says, within the default [`Guards`].
///
/// # Errors
/// See [`probe_within`].
pub fn probe(bytes: &[u8]) -> Result<Probe, ImageError> {
    probe_within(bytes, &Guards::default())
}

/// What the head says, if `guards` admit it.
///
/// # Errors
/// [`ImageError::Unknown`], [`ImageError::Damaged`], or a guard.
pub fn probe_within(bytes: &[u8], guards: &Guards) -> Result<Probe, ImageError> {
    let _ = (Kind::sniff(bytes), guards);
    Err(ImageError::Unknown)
}
