//! The time by which what was promised in seconds is kept.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

/// The wall clock as it stood when this was first asked, carried on by the clock that nobody sets. A binding of
/// an hour lasts an hour although the wall clock is set meanwhile; one that was set by a day would otherwise end
/// all registrations at once, or keep the dead for a day. What is compared with the times of others, a Date or a
/// certificate, goes by [`SystemTime::now`]. After a restart the two are one again.
pub fn now() -> SystemTime {
    static START: OnceLock<(SystemTime, Instant)> = OnceLock::new();
    let (wall, start) = START.get_or_init(|| (SystemTime::now(), Instant::now()));
    wall.checked_add(start.elapsed()).unwrap_or_else(SystemTime::now)
}
