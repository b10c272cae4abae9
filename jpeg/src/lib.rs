//! JPEG decoded at a fraction of its size: every coefficient that the smaller picture does not need is passed over while
//! the Huffman codes are read, and what is left goes through an inverse DCT of the smaller size (ITU-T T.81).
//!
//! Octets of a stranger come in, planes of samples come out, as the file has them: YCbCr or gray, each plane at its
//! own subsampling. What this does not read (arithmetic, 12 bit, CMYK, RGB, odd sampling) it says at the head, before any work, so that another decoder can take it. Work and memory are bounded by the size in the head,
//! which the caller admits: every component is read once.

mod bits;
pub mod colour;
mod frame;
mod head;
mod idct;
mod lanes;
mod progressive;
mod scan;
mod symbols;
#[cfg(test)]
mod tests;
pub mod write;

pub use head::Head;

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A JPEG of a kind that is not read here.
    #[error("{0}")]
    Unfit(&'static str),
    /// The file is broken.
    #[error("damaged: {0}")]
    Damaged(&'static str),
}

/// The samples of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Samples from one row to the next; those behind the picture are padding.
    pub stride: usize,
    /// Rows, padding included.
    pub rows: usize,
    /// Row after row.
    pub samples: Vec<u8>,
    /// Eighths of a sample that the picture covers, from left to right and from top to bottom: the fraction of a
    /// size need not be whole.
    pub eighths: (u64, u64),
}

impl Plane {
    /// What the picture covers, in samples.
    pub fn extent(&self) -> (f64, f64) {
        let within = |eighths: u64, most: usize| (eighths as f64 / 8.0).min(most as f64);
        (within(self.eighths.0, self.stride), within(self.eighths.1, self.rows))
    }

    /// Repeats the last samples of the picture in its padding, where a filter that reaches over the edge finds them.
    pub fn pad(&mut self) {
        let (across, down) = self.extent();
        let (across, down) = (across.ceil() as usize, down.ceil() as usize);
        for row in self.samples.chunks_exact_mut(self.stride).take(down) {
            if let Some((shown, padding)) = row.split_at_mut_checked(across)
                && let Some(&last) = shown.last()
            {
                padding.fill(last);
            }
        }
        if let Some(start) = down.checked_sub(1).map(|last| last * self.stride) {
            for row in down..self.rows {
                self.samples.copy_within(start..start + self.stride, row * self.stride);
            }
        }
    }
}

/// A fraction of the size, 1 to 8 eighths; chroma may be wanted smaller than luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eighths {
    /// Of Y, and of gray.
    pub luma: u8,
    /// Of Cb and Cr.
    pub chroma: u8,
}

/// Reads a picture at a fraction of its size. One plane is gray, three are Y, Cb, Cr.
///
/// # Errors
/// [`Unread::Damaged`]: its scans are broken, or end too soon.
pub fn decode(head: &Head<'_>, eighths: Eighths) -> Result<Vec<Plane>, Unread> {
    let frame = frame::Frame::new(head, eighths);
    if head.progressive { progressive::all(&frame) } else { scan::all(&frame) }
}
