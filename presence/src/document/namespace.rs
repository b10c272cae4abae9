//! The namespaces of presence documents.

/// PIDF (RFC 3863). In memory every document has this one, whichever form it came in.
pub const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
/// What application/cpim-pidf+xml has instead (drafts before RFC 3863).
pub const CPIM_PIDF: &str = "urn:ietf:params:xml:ns:cpim-pidf";
/// Persons and devices (RFC 4479).
pub const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
/// Rich presence (RFC 4480).
pub const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";
/// Contact information (RFC 4482).
pub const CIPID: &str = "urn:ietf:params:xml:ns:pidf:cipid";
/// External objects (BINPIDF, CPI.md §5).
pub const BINPIDF: &str = "urn:ietf:params:xml:ns:pidf-ext-cont";
/// Partial notification (RFC 5262).
pub const PIDF_DIFF: &str = "urn:ietf:params:xml:ns:pidf-diff";
/// Watchers (RFC 3858).
pub const WATCHERINFO: &str = "urn:ietf:params:xml:ns:watcherinfo";
/// Registrations (RFC 3680).
pub const REGINFO: &str = "urn:ietf:params:xml:ns:reginfo";
/// Notifications of lists (RFC 4662).
pub const RLMI: &str = "urn:ietf:params:xml:ns:rlmi";
/// Lists (RFC 4826).
pub const RESOURCE_LISTS: &str = "urn:ietf:params:xml:ns:resource-lists";
/// Rules (RFC 4745).
pub const COMMON_POLICY: &str = "urn:ietf:params:xml:ns:common-policy";
/// Rules for presence (RFC 5025).
pub const PRES_RULES: &str = "urn:ietf:params:xml:ns:pres-rules";
/// Filters (RFC 4661).
pub const SIMPLE_FILTER: &str = "urn:ietf:params:xml:ns:simple-filter";
/// What `xml:` stands for.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The namespace as it is kept: old and misspelt names of PIDF are PIDF (CPI.md §5).
pub(crate) fn canonical(uri: &str) -> &str {
    match uri.strip_suffix(':').unwrap_or(uri) {
        PIDF | CPIM_PIDF => PIDF,
        _ => uri,
    }
}
