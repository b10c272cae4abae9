//! Segments between the markers (T.81 §B.2).

use super::Unread;
use super::symbols::Code;

/// Segments of one file; cameras write some dozens.
const MOST_SEGMENTS: usize = 4096;

/// What the frame header says, and where the rest begins.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// Pixels from left to right, as they lie in the file.
    pub width: u16,
    /// Pixels from top to bottom.
    pub height: u16,
    /// Whether its coefficients come in several scans.
    pub progressive: bool,
    pub(super) components: Vec<Component>,
    pub(super) segments: Segments<'a>,
}

/// One component of the frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors, 1 or 2.
    pub(super) across: u8,
    pub(super) down: u8,
    /// Which quantisation table.
    pub(super) quantiser: u8,
}

impl<'a> Head<'a> {
    /// Reads up to the frame header.
    ///
    /// # Errors
    /// [`Unread::Unfit`] for what is not read here, [`Unread::Damaged`] for what is no JPEG.
    pub fn read(file: &'a [u8]) -> Result<Head<'a>, Unread> {
        let Some([0xff, 0xd8]) = file.first_chunk() else {
            return Err(Unread::Damaged("it begins as no JPEG"));
        };
        let mut segments = Segments { file, at: 2, taken: 0, tables: Tables::default() };
        let (mut adobe, mut jfif) = (None, false);
        loop {
            match segments.next()? {
                Segment::Other(0xee, data) => {
                    adobe = data.strip_prefix(b"Adobe").and_then(|d| d.get(6).copied()).or(adobe)
                }
                Segment::Other(0xe0, data) => jfif |= data.starts_with(b"JFIF"),
                Segment::Other(..) => {}
                Segment::Frame(kind @ 0xc0..=0xc2, data) => {
                    let (width, height, components) = frame(data)?;
                    is_fit(&components, adobe, jfif)?;
                    let progressive = kind == 0xc2;
                    return Ok(Head { width, height, progressive, components, segments });
                }
                Segment::Frame(..) => return Err(Unread::Unfit("neither baseline nor progressive")),
                Segment::Scan(_) | Segment::End => return Err(Unread::Damaged("no frame header")),
            }
        }
    }
}

impl Head<'_> {
    /// How many samples of luma there are for one of chroma, from left to right and from top to bottom.
    pub fn subsampling(&self) -> (u8, u8) {
        match &self.components[..] {
            [luma, _, _] => (luma.across, luma.down),
            _ => (1, 1),
        }
    }
}

fn frame(data: &[u8]) -> Result<(u16, u16, Vec<Component>), Unread> {
    let short = Unread::Damaged("a frame header too short");
    let Some((&[bits, h1, h0, w1, w0, count], rest)) = data.split_first_chunk() else { return Err(short) };
    if bits != 8 {
        return Err(Unread::Unfit("not 8 bit"));
    }
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    if width == 0 || height == 0 {
        return Err(Unread::Unfit("no size in the frame header"));
    }
    if rest.len() != usize::from(count) * 3 {
        return Err(short);
    }
    let components = rest.as_chunks().0.iter();
    let components = components.map(|&[id, sampling, quantiser]| Component {
        id,
        across: sampling >> 4,
        down: sampling & 15,
        quantiser,
    });
    Ok((width, height, components.collect()))
}

/// Whether these are gray, or YCbCr as JFIF has it, in a sampling that is read here.
fn is_fit(components: &[Component], adobe: Option<u8>, jfif: bool) -> Result<(), Unread> {
    match components {
        [_] => Ok(()),
        [y, cb, cr] => {
            let letters = [y.id, cb.id, cr.id] == *b"RGB";
            if adobe.is_some_and(|transform| transform != 1) || (letters && !jfif && adobe.is_none()) {
                return Err(Unread::Unfit("not YCbCr"));
            }
            let known = [y.across, y.down].iter().all(|factor| (1..=2).contains(factor));
            let single = [cb, cr].iter().all(|chroma| (chroma.across, chroma.down) == (1, 1));
            let distinct = y.id != cb.id && cb.id != cr.id && y.id != cr.id;
            if known && single && distinct { Ok(()) } else { Err(Unread::Unfit("an odd sampling")) }
        }
        _ => Err(Unread::Unfit("not gray and not three colours")),
    }
}

/// The tables in force, and where the reading stands.
#[derive(Clone, Debug)]
pub(super) struct Segments<'a> {
    file: &'a [u8],
    at: usize,
    taken: usize,
    pub(super) tables: Tables<'a>,
}

/// What DQT, DHT and DRI have said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables<'a> {
    pub(super) quantisers: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Code<'a>>; 4],
    pub(super) ac: [Option<Code<'a>>; 4],
    /// Units between restart markers; 0: none.
    pub(super) restart: u16,
}

pub(super) enum Segment<'a> {
    /// SOFn: its marker and data.
    Frame(u8, &'a [u8]),
    /// SOS: its data; the coded bits follow at [`Segments::rest`].
    Scan(&'a [u8]),
    /// EOI, or the end of the file.
    End,
    /// Any other that is no table.
    Other(u8, &'a [u8]),
}

impl<'a> Segments<'a> {
    /// The next segment that is no table; tables are taken in on the way.
    pub(super) fn next(&mut self) -> Result<Segment<'a>, Unread> {
        loop {
            self.taken += 1;
            if self.taken > MOST_SEGMENTS {
                return Err(Unread::Damaged("too many segments"));
            }
            let Some(marker) = self.marker() else { return Ok(Segment::End) };
            if marker == 0xd9 {
                return Ok(Segment::End);
            }
            // Standing alone: TEM and what is left of restarts.
            if marker == 0x01 || (0xd0..=0xd8).contains(&marker) {
                continue;
            }
            let data = self.data()?;
            match marker {
                0xdb => self.tables.quantise(data)?,
                0xc4 => self.tables.code(data)?,
                0xdd => {
                    let restart = data.first_chunk().ok_or(Unread::Damaged("a DRI too short"))?;
                    self.tables.restart = u16::from_be_bytes(*restart);
                }
                0xda => return Ok(Segment::Scan(data)),
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    return Ok(Segment::Frame(marker, data));
                }
                _ => return Ok(Segment::Other(marker, data)),
            }
        }
    }

    /// The file behind the segment that was read last.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.file.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip(&mut self, octets: usize) {
        self.at = self.at.saturating_add(octets);
    }

    /// The next marker; octets before it that are none are passed over, as every decoder does.
    fn marker(&mut self) -> Option<u8> {
        let rest = self.rest();
        let at = rest.windows(2).position(|pair| matches!(pair, [0xff, 1..=0xfe]))?;
        self.at += at + 2;
        rest.get(at + 1).copied()
    }

    fn data(&mut self) -> Result<&'a [u8], Unread> {
        let cut = Unread::Damaged("a segment that is cut short");
        let rest = self.rest();
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or(cut)?));
        let data = rest.get(2..length).ok_or(cut)?;
        self.at += length;
        Ok(data)
    }
}

impl<'a> Tables<'a> {
    fn quantise(&mut self, mut data: &[u8]) -> Result<(), Unread> {
        let wrong = Unread::Damaged("a quantisation table that is cut short");
        while let [kind, rest @ ..] = data {
            let (wide, place) = (kind >> 4 != 0, usize::from(kind & 15));
            let (values, rest) = rest.split_at_checked(if wide { 128 } else { 64 }).ok_or(wrong)?;
            let table = self.quantisers.get_mut(place).ok_or(wrong)?.insert([0; 64]);
            if wide {
                table
                    .iter_mut()
                    .zip(values.as_chunks().0)
                    .for_each(|(to, &pair)| *to = u16::from_be_bytes(pair));
            } else {
                table.iter_mut().zip(values).for_each(|(to, &value)| *to = value.into());
            }
            data = rest;
        }
        Ok(())
    }

    fn code(&mut self, mut data: &'a [u8]) -> Result<(), Unread> {
        let wrong = Unread::Damaged("a Huffman table that is cut short");
        while let [kind, rest @ ..] = data {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(wrong)?;
            let many = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(many).ok_or(wrong)?;
            let of_class = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *of_class.get_mut(usize::from(kind & 15)).ok_or(wrong)? = Some(Code { counts, symbols });
            data = rest;
        }
        Ok(())
    }
}
