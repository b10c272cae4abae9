//! From octets to elements: well-formed XML with namespaces, and nothing that can grow while it is read.
//!
//! quick-xml finds the tags; what it leaves open is checked here: one root, ends that match, names, prefixes,
//! references (the five of XML and characters by number; no entity is ever expanded), characters that XML allows.

use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::escape;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::error::DocumentError;
use super::limits::Limits;
use super::namespace;
use super::tree::{Attribute, Element, Name, Node, built_in, is_blank, is_reserved, push_text};

/// What was read.
pub(crate) struct Reading {
    pub(crate) root: Element,
    /// The names under which it calls PIDF.
    pub(crate) pidf: Vec<String>,
}

/// Reads the root element and what is in it.
pub(crate) fn read(octets: &[u8], limits: &Limits) -> Result<Reading, DocumentError> {
    if octets.len() > limits.octets {
        return Err(DocumentError::TooLong(limits.octets));
    }
    let text = decoded(octets)?;
    if let Some((at, _)) = text.char_indices().find(|&(_, c)| !is_allowed(c)) {
        return Err(DocumentError::Malformed(at));
    }
    Building::new(limits).read(&text, matches!(text, Cow::Owned(_)))
}

/// The characters of XML 1.0 §2.2.
fn is_allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn decoded(octets: &[u8]) -> Result<Cow<'_, str>, DocumentError> {
    let wide = |octets: &[u8], unit: fn([u8; 2]) -> u16| {
        if !octets.len().is_multiple_of(2) {
            return Err(DocumentError::Encoding);
        }
        let units = octets.as_chunks().0.iter().map(|&pair| unit(pair));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| DocumentError::Encoding)
    };
    match octets {
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes).map(Cow::Owned),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            std::str::from_utf8(rest).map(Cow::Borrowed).map_err(|_| DocumentError::Encoding)
        }
    }
}

struct Building<'a> {
    limits: &'a Limits,
    /// Elements that are open, the root first.
    open: Vec<Element>,
    /// Bindings in scope: prefix, namespace, and at which depth they were made.
    scope: Vec<(Box<str>, Arc<str>, usize)>,
    /// Each namespace once.
    known: Vec<Arc<str>>,
    pidf: Vec<String>,
    elements: usize,
    root: Option<Element>,
}

impl<'a> Building<'a> {
    fn new(limits: &'a Limits) -> Building<'a> {
        Building {
            limits,
            open: Vec::new(),
            scope: Vec::new(),
            known: Vec::new(),
            pidf: Vec::new(),
            elements: 0,
            root: None,
        }
    }

    fn read(mut self, text: &str, wide: bool) -> Result<Reading, DocumentError> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        reader.config_mut().check_comments = true;
        let mut first = true;
        loop {
            let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            let event = reader.read_event().map_err(|_| DocumentError::Malformed(at))?;
            match event {
                Event::Eof => break,
                Event::DocType(_) => return Err(DocumentError::Dtd),
                Event::Decl(declaration) => {
                    if !first {
                        return Err(DocumentError::Malformed(at));
                    }
                    if let Some(encoding) = declaration.encoding() {
                        let encoding = encoding.map_err(|_| DocumentError::Malformed(at))?;
                        is_read(&encoding, wide)?;
                    }
                }
                Event::Start(start) => self.start(&start, at)?,
                Event::Empty(start) => {
                    self.start(&start, at)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.text(&text, at)?,
                Event::CData(text) => self.text(&escape::partial_escape(&*text), at)?,
                Event::GeneralRef(reference) => self.reference(&reference, at)?,
                Event::Comment(comment) => self.other(format!("<!--{}-->", &*comment)),
                Event::PI(instruction) => self.other(format!("<?{}?>", &*instruction)),
            }
            first = false;
        }
        if !self.open.is_empty() {
            return Err(DocumentError::Malformed(text.len()));
        }
        let root = self.root.ok_or(DocumentError::Malformed(text.len()))?;
        Ok(Reading { root, pidf: self.pidf })
    }

    fn start(&mut self, start: &BytesStart<'_>, at: usize) -> Result<(), DocumentError> {
        if self.root.is_some() {
            return Err(DocumentError::Malformed(at));
        }
        if self.open.len() >= self.limits.depth.min(Limits::DEEPEST) {
            return Err(DocumentError::TooDeep(self.limits.depth.min(Limits::DEEPEST)));
        }
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(DocumentError::TooMany(self.limits.elements));
        }
        let depth = self.open.len();
        let mut declared = Vec::new();
        let mut written = Vec::new();
        for (count, attribute) in start.attributes().enumerate() {
            if count >= self.limits.attributes {
                return Err(DocumentError::TooWide(self.limits.attributes));
            }
            let attribute = attribute.map_err(|_| DocumentError::Malformed(at))?;
            let name = attribute.key.into_inner();
            let raw: &str = &attribute.value;
            is_value(raw, at)?;
            match name.strip_prefix("xmlns") {
                Some("") => declared.push(self.declare("", raw, depth, at)?),
                Some(rest) if rest.starts_with(':') => {
                    declared.push(self.declare(rest.get(1..).unwrap_or_default(), raw, depth, at)?);
                }
                _ => written.push((name.to_owned(), Box::<str>::from(raw))),
            }
        }
        let name = self.element_name(start.name().into_inner(), at)?;
        let mut attributes: Vec<Attribute> = Vec::with_capacity(written.len());
        for (name, raw) in written {
            let name = self.attribute_name(&name, at)?;
            if attributes.iter().any(|other| other.name.same(&name)) {
                return Err(DocumentError::Malformed(at));
            }
            attributes.push(Attribute { name, raw });
        }
        self.open.push(Element { name, declared, attributes, children: Vec::new() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(element) = self.open.pop() else { return };
        let depth = self.open.len();
        self.scope.retain(|(_, _, made)| *made < depth);
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str, at: usize) -> Result<(), DocumentError> {
        match self.open.last_mut() {
            Some(_) if text.contains("]]>") => Err(DocumentError::Malformed(at)),
            Some(element) => {
                push_text(&mut element.children, text);
                Ok(())
            }
            None if is_blank(text) => Ok(()),
            None => Err(DocumentError::Malformed(at)),
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>, at: usize) -> Result<(), DocumentError> {
        let text = format!("&{};", &**reference);
        is_reference(reference).then_some(()).ok_or(DocumentError::Entity(at))?;
        self.text(&text, at)
    }

    /// What stands outside the root is let go.
    fn other(&mut self, text: String) {
        if let Some(element) = self.open.last_mut() {
            element.children.push(Node::Other(text.into()));
        }
    }

    fn declare(
        &mut self,
        prefix: &str,
        raw: &str,
        depth: usize,
        at: usize,
    ) -> Result<(Box<str>, Arc<str>), DocumentError> {
        let uri = super::tree::unescaped(raw);
        let uri = uri.trim();
        let wrong = is_reserved(prefix)
            || (!prefix.is_empty() && (uri.is_empty() || !is_name(prefix)))
            || uri == namespace::XML;
        if wrong {
            // `xml` may be declared as what it is.
            let harmless = prefix == "xml" && uri == namespace::XML;
            return if harmless {
                Ok((prefix.into(), self.interned(namespace::XML)))
            } else {
                Err(DocumentError::Namespace(at))
            };
        }
        let canonical = namespace::canonical(uri);
        if canonical == namespace::PIDF && !self.pidf.iter().any(|known| known == uri) {
            self.pidf.push(uri.to_owned());
        }
        let uri = self.interned(canonical);
        self.scope.push((prefix.into(), uri.clone(), depth));
        Ok((prefix.into(), uri))
    }

    fn interned(&mut self, uri: &str) -> Arc<str> {
        if let Some(known) = self.known.iter().find(|known| &***known == uri) {
            return known.clone();
        }
        let new: Arc<str> = uri.into();
        self.known.push(new.clone());
        new
    }

    fn resolved(&mut self, prefix: &str, at: usize) -> Result<Arc<str>, DocumentError> {
        if let Some((_, uri, _)) = self.scope.iter().rev().find(|(bound, _, _)| &**bound == prefix) {
            return Ok(uri.clone());
        }
        match built_in(prefix) {
            Some(uri) => Ok(self.interned(uri)),
            None if prefix.is_empty() => Ok(self.interned("")),
            None => Err(DocumentError::Namespace(at)),
        }
    }

    fn element_name(&mut self, written: &str, at: usize) -> Result<Name, DocumentError> {
        let (prefix, local) = split(written, at)?;
        Ok(Name { namespace: self.resolved(prefix, at)?, prefix: prefix.into(), local: local.into() })
    }

    fn attribute_name(&mut self, written: &str, at: usize) -> Result<Name, DocumentError> {
        let (prefix, local) = split(written, at)?;
        let namespace = if prefix.is_empty() { self.interned("") } else { self.resolved(prefix, at)? };
        Ok(Name { namespace, prefix: prefix.into(), local: local.into() })
    }
}

fn split(written: &str, at: usize) -> Result<(&str, &str), DocumentError> {
    let (prefix, local) = written.split_once(':').unwrap_or(("", written));
    let good = is_name(local) && (is_name(prefix) || (prefix.is_empty() && !written.starts_with(':')));
    if good { Ok((prefix, local)) } else { Err(DocumentError::Malformed(at)) }
}

/// A name without a colon. Which characters beyond ASCII are letters is not asked.
pub(crate) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    characters.next().is_some_and(starts)
        && characters.all(|c| starts(c) || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

/// Whether a value can be written again as it is.
fn is_value(raw: &str, at: usize) -> Result<(), DocumentError> {
    if raw.contains('<') || (raw.contains('"') && raw.contains('\'')) {
        return Err(DocumentError::Malformed(at));
    }
    let mut rest = raw;
    while let Some((_, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or(DocumentError::Malformed(at))?;
        if !is_reference(&BytesRef::new(name)) {
            return Err(DocumentError::Entity(at));
        }
        rest = after;
    }
    Ok(())
}

/// One of the five, or a character that XML allows by its number.
fn is_reference(reference: &BytesRef<'_>) -> bool {
    let named: &str = reference;
    match reference.resolve_char_ref() {
        Ok(Some(character)) => is_allowed(character),
        Ok(None) => escape::resolve_xml_entity(named).is_some(),
        Err(_) => false,
    }
}

fn is_read(encoding: &str, wide: bool) -> Result<(), DocumentError> {
    let known: &[&str] = if wide { &["utf-16"] } else { &["utf-8", "utf8", "us-ascii", "ascii"] };
    if known.iter().any(|known| encoding.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(DocumentError::Encoding)
    }
}
