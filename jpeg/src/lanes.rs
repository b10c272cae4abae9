//! Work on many samples at once: compiled for the vectors that are sure to be there, and once more for the wider ones that
//! most machines have. Which one runs is asked of the machine, and what comes out is the same: floats are added and
//! multiplied one by one in both, in the same order.

use fearless_simd::{Level, Simd};

/// What is worth being compiled twice. All it calls has to be inlined, or that part is compiled for the narrow vectors
/// alone.
pub(crate) trait Lanes {
    /// What comes out.
    type Made;

    /// Does it. Has to be `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Made;
}

/// Does `work` with the widest vectors this machine has.
#[cfg(target_arch = "x86_64")]
pub(crate) fn widest<W: Lanes>(work: W) -> W::Made {
    if let Some(wide) = Level::new().as_avx2() {
        return wide.vectorize(
            #[inline(always)]
            || work.run(wide),
        );
    }
    let Some(narrow) = Level::baseline().as_sse2() else { unreachable!("x86-64 has SSE2") };
    work.run(narrow)
}

/// Does `work` with the vectors of this machine.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn widest<W: Lanes>(work: W) -> W::Made {
    fearless_simd::dispatch!(Level::new(), simd => work.run(simd))
}
