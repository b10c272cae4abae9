//! The work of a plan, one piece per part: pure CPU, for the caller's pool.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::image::{self, ImageError};
use crate::plan::Wrapped;
use crate::text;

/// Which piece of work of which plan part. Opaque to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId {
    pub(crate) unit: usize,
    pub(crate) variant: usize,
}

/// One piece of work. Owns what it needs; run it anywhere.
#[derive(Clone, Debug)]
pub struct Job {
    /// Goes back in the [`JobOutcome`].
    pub id: JobId,
    /// The part's place in the tree, as in [`crate::PartReport::part`].
    pub part: String,
    /// The octets the part may have at most; a larger product is refused by [`crate::Plan::build`].
    pub octets: Option<u64>,
    pub(crate) input: Bytes,
    pub(crate) work: Work,
    pub(crate) guards: image::Guards,
}

/// What there is to do.
#[derive(Clone)]
pub enum Work {
    /// Another picture.
    Image(image::Spec),
    /// text/html to text/plain.
    HtmlToText {
        /// The charset it is labelled with.
        from: Option<String>,
        /// `utf-8`, `us-ascii` or `iso-8859-1`.
        to: String,
    },
    /// text/enriched to text/plain.
    EnrichedToText {
        /// The charset it is labelled with.
        from: Option<String>,
        /// `utf-8`, `us-ascii` or `iso-8859-1`.
        to: String,
    },
    /// vCards in another version.
    Cards {
        /// The charset they are labelled with.
        from: Option<String>,
        /// The version.
        to: text::Version,
        /// With its parameters.
        media_type: String,
    },
    /// To another charset.
    Charset {
        /// The label it came with.
        from: Option<String>,
        /// `utf-8`, `us-ascii` or `iso-8859-1`.
        to: String,
    },
    /// What message/cpim wraps.
    Wrapped(Arc<Wrapped>),
    /// A converter of the caller's.
    Convert {
        /// Which one.
        converter: Arc<dyn Converter>,
        /// What it is, with parameters.
        from: String,
        /// What it said it can make.
        offer: Offer,
    },
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Image(spec) => write!(f, "{spec:?}"),
            Work::HtmlToText { to, .. } => write!(f, "HtmlToText({to})"),
            Work::EnrichedToText { to, .. } => write!(f, "EnrichedToText({to})"),
            Work::Cards { to, .. } => write!(f, "Cards({to:?})"),
            Work::Charset { to, .. } => write!(f, "Charset({to})"),
            Work::Wrapped(_) => f.write_str("Wrapped"),
            Work::Convert { offer, .. } => write!(f, "Convert({})", offer.media_type),
        }
    }
}

impl Job {
    /// Does it. `stop` is asked now and then; once it says true, the outcome is [`JobError::Stopped`].
    pub fn run(&self, stop: &dyn Fn() -> bool) -> JobOutcome {
        let result = if stop() { Err(JobError::Stopped) } else { self.product(stop) };
        JobOutcome { id: self.id, result }
    }

    /// The input as text.
    fn text(&self, from: Option<&str>) -> Result<String, JobError> {
        text::convert_charset(&self.input, from, "utf-8")
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(JobError::Charset)
    }

    fn product(&self, stop: &dyn Fn() -> bool) -> Result<Product, JobError> {
        match &self.work {
            Work::Image(spec) => {
                let image = image::transform(&self.input, spec, &self.guards, stop)?;
                Ok(Product {
                    media_type: image.kind.media_type().into(),
                    bytes: image.bytes,
                    pixels: Some([image.width, image.height]),
                    quality: image.quality,
                    ops: image.ops.iter().map(|op| op.as_str()).collect(),
                    work: image.work,
                })
            }
            Work::HtmlToText { from, to } => {
                let plain = text::html_to_text(&self.text(from.as_deref())?);
                plain_in(plain, to)
            }
            Work::EnrichedToText { from, to } => {
                let plain = text::enriched_to_text(&self.text(from.as_deref())?);
                plain_in(plain, to)
            }
            Work::Cards { from, to, media_type } => {
                let cards = text::convert_cards(&self.text(from.as_deref())?, *to).ok_or(JobError::NoCard)?;
                Ok(Product::of_text(media_type, cards.into_bytes(), "transcode"))
            }
            Work::Charset { from, to } => {
                let bytes =
                    text::convert_charset(&self.input, from.as_deref(), to).ok_or(JobError::Charset)?;
                Ok(Product::of_text(to, bytes, "charset"))
            }
            Work::Wrapped(wrapped) => wrapped.adapted(self.octets, stop),
            Work::Convert { converter, from, offer } => {
                converter.convert(&self.input, from, offer, self.octets, stop)
            }
        }
    }
}

/// text/plain in a charset.
fn plain_in(plain: String, to: &str) -> Result<Product, JobError> {
    let plain = plain.into_bytes();
    let plain = if to == "utf-8" {
        plain
    } else {
        text::convert_charset(&plain, Some("utf-8"), to).ok_or(JobError::Charset)?
    };
    Ok(Product::of_text("text/plain", plain, "transcode"))
}

/// What came of a [`Job`].
#[derive(Clone, Debug)]
pub struct JobOutcome {
    /// The job's.
    pub id: JobId,
    /// What it made.
    pub result: Result<Product, JobError>,
}

/// What a job made.
#[derive(Clone, Debug)]
pub struct Product {
    /// The media type, without parameters; for a charset conversion the charset's name.
    pub media_type: String,
    /// The octets.
    pub bytes: Bytes,
    /// Width and height of a picture.
    pub pixels: Option<[u32; 2]>,
    /// JPEG quality.
    pub quality: Option<u8>,
    /// What was done, in the words of CPI.md §3.9.
    pub ops: Vec<&'static str>,
    /// What it took, in counts.
    pub work: image::Work,
}

impl Product {
    fn of_text(media_type: &str, bytes: Vec<u8>, op: &'static str) -> Product {
        Product {
            media_type: media_type.into(),
            bytes: bytes.into(),
            pixels: None,
            quality: None,
            ops: vec![op],
            work: image::Work::default(),
        }
    }
}

/// Why a job made nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The picture is broken, over a guard, or can't be made that small.
    #[error(transparent)]
    Image(ImageError),
    /// The text is not in its charset, or can't be written in the other.
    #[error("the text can't be written in a charset the terminal knows")]
    Charset,
    /// What is labelled as a vCard is none.
    #[error("no vCard is in it")]
    NoCard,
    /// A converter of the caller's gave up; its words.
    #[error("{0}")]
    Converter(String),
    /// `stop` said so.
    #[error("stopped before it was done")]
    Stopped,
}

impl From<ImageError> for JobError {
    fn from(error: ImageError) -> JobError {
        match error {
            ImageError::Stopped => JobError::Stopped,
            other => JobError::Image(other),
        }
    }
}

/// A converter for kinds this room does not have (audio, video).
pub trait Converter: Send + Sync {
    /// What it knows of these octets by their heads; `None` if they are not its own. Must be quick.
    fn probe(&self, media_type: &str, octets: &Bytes) -> Option<Traits>;

    /// What it can make of them for a terminal that wants a type so: `wants` answers with the tiers of a media type, best
    /// first, none if the terminal does not take it. Offers of one type stand best first. Must be quick: heads only.
    fn offers(&self, media_type: &str, octets: &Bytes, wants: &dyn Fn(&str) -> Vec<Want>) -> Vec<Offer>;

    /// Makes one of its offers, in at most `most` octets.
    ///
    /// # Errors
    /// [`JobError::Converter`] or [`JobError::Stopped`].
    fn convert(
        &self,
        octets: &Bytes,
        media_type: &str,
        offer: &Offer,
        most: Option<u64>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Product, JobError>;
}

/// What a [`Converter`] knows of something before it is decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Width and height, if it is seen.
    pub pixels: Option<[u32; 2]>,
    /// Values of what `cpi.extensions` may name, names in lower case.
    pub ext: Vec<(String, u64)>,
}

/// How a terminal takes a type: one of its tiers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// How much it is liked, in thousandths.
    pub q: u16,
    /// Octets at most.
    pub length: Option<u64>,
    /// Width in pixels.
    pub pix_x: cpi::Interval,
    /// Height in pixels.
    pub pix_y: cpi::Interval,
    /// What `cpi.extensions` names, names in lower case.
    pub ext: BTreeMap<String, cpi::Interval>,
}

/// What a [`Converter`] can make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The media type of what comes out.
    pub media_type: String,
    /// How many octets it will have, rather more than less.
    pub octets: u64,
    /// What is left of what can be seen and heard, 0 to 100; counts like the quality of a JPEG (CPI.md §3.6).
    pub fidelity: u8,
    /// How it will be.
    pub shape: Shape,
    /// The same in the names of `cpi.extensions`, which the terminal's limits are asked about.
    pub ext: Vec<(String, u64)>,
}

/// How sound or video will be; 0 for what it has none of. The converter's own business, handed back to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Width and height.
    pub pixels: Option<[u32; 2]>,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
    /// Bits a second.
    pub bits: u32,
    /// Pictures a second.
    pub frames: u32,
}
