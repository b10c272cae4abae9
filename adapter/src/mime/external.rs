//! Reading `message/external-body` with `access-type=URL` (RFC 2017, RFC 4483, CPI.md §4).

use bytes::Bytes;
use serde::Serialize;

use super::date::DateRead;
use super::{ContentType, Node};
use crate::entity::Field;

/// What an external-body says of the content that lies elsewhere. Serializes to INDEX.json's `external`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct External {
    /// `URL`, any case.
    pub access_type: Option<String>,
    /// The URL, white space inside taken away.
    pub url: Option<String>,
    /// Octets of the content.
    pub size: Option<u64>,
    /// The date as written.
    pub expiration: Option<String>,
    /// 40 hex digits of SHA-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// `read` or `read-write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The content's media type.
    pub inner_type: Option<String>,
    /// The content's Content-ID as written; the part's own if the inner header has none.
    pub inner_content_id: Option<String>,
    /// The content's disposition; the part's own if the inner header has none.
    pub inner_disposition: Option<String>,
    /// The content's complete Content-Type.
    #[serde(skip)]
    pub inner_content_type: Option<String>,
    /// The content's description.
    #[serde(skip)]
    pub inner_description: Option<String>,
}

impl External {
    /// Reads the part, with the defects that were forgiven. `None` if no parameter names how the content is reached.
    pub(super) fn read(node: &Node, body: &Bytes) -> Option<(External, Vec<String>)> {
        let inner: Vec<Field> = grammar::fields(body)
            .map(|f| Field::new(body.slice_ref(f.name), body.slice_ref(f.value)))
            .collect();
        let value = |name: &str| inner.iter().find(|f| f.is(name)).map(|f| grammar::unfold(&f.value));
        let text = |name: &str| value(name).map(|octets| String::from_utf8_lossy(&octets).into_owned());
        let inner_type = value("content-type").map(|octets| ContentType::read(&octets));
        let mut diags = Vec::new();
        let says_how = |content_type: &ContentType| content_type.param("access-type").is_some();
        // BINPIDF 6.1 as printed has the parameters on the inner header.
        let (params, content) = if says_how(&node.content_type) {
            (&node.content_type, inner_type.as_ref())
        } else {
            diags.push("external-params-on-inner-header".to_owned());
            (inner_type.as_ref().filter(|inner| says_how(inner))?, None)
        };
        diags.extend(params.unseparated.iter().map(|name| format!("missing-semicolon-before-{name}")));
        let param = |name: &str| params.param(name).map(str::to_owned);
        let expiration = param("expiration");
        match expiration.as_deref().map(DateRead::read) {
            Some(DateRead::Lenient(_)) => diags.push("lenient-date".into()),
            Some(DateRead::Bad) => diags.push("bad-date".into()),
            _ => {}
        }
        let external = External {
            access_type: param("access-type"),
            url: param("url").map(|url| url.split_whitespace().collect()),
            size: params.param("size").and_then(|size| grammar::decimal(size.as_bytes())),
            expiration,
            hash: param("hash"),
            permission: param("permission"),
            inner_type: content.map(|content| content.essence.clone()),
            inner_content_id: text("content-id").or_else(|| node.text("content-id")),
            inner_disposition: text("content-disposition").or_else(|| node.text("content-disposition")),
            inner_content_type: content.map(|content| content.written.clone()),
            inner_description: text("content-description").or_else(|| node.text("content-description")),
        };
        Some((external, diags))
    }

    /// The content's Content-ID without white space and angle brackets.
    pub(crate) fn content_id(&self) -> Option<String> {
        let bare = self.inner_content_id.as_deref()?.trim().trim_start_matches('<').trim_end_matches('>');
        (!bare.is_empty()).then(|| bare.to_owned())
    }

    /// Whether a terminal that does not know external bodies can be given the URL.
    pub fn web_url(&self) -> Option<&str> {
        let url = self.url.as_deref()?;
        let by_url = self.access_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("url"));
        let scheme = url.split(':').next()?;
        let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        (by_url && web).then_some(url)
    }
}
