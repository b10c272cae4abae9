//! What needs no plan: a text that the terminal reads and that is inside every limit goes out as it came.

use cpi::{Cpi, Q_MAX, matching};

use super::limits::{Limits, octets};
use super::utility::Utility;
use crate::entity::Field;
use crate::mime::ContentType;
use crate::settings::{Budget, Settings};

/// Whether [`super::plan()`] would say [`super::Verdict::Unchanged`], as far as that can be told of a plain text
/// from its one field. `false` says nothing: the plan is to be made.
///
/// `fields` are what [`crate::Entity::fields`] would hold.
pub fn is_kept(
    fields: &[Field],
    body: &[u8],
    cpi: Option<&Cpi>,
    settings: &Settings,
    budget: Budget,
) -> bool {
    let [field] = fields else { return false };
    if !field.is("content-type") || settings.sealed || body.is_empty() {
        return false;
    }
    let content_type = ContentType::read(&field.value);
    if !content_type.is("text/plain") {
        return false;
    }
    let nothing = Cpi::default();
    let cpi = cpi.unwrap_or(&nothing);
    let options =
        matching::Options { strict_specificity: settings.strict_specificity, implied: settings.implied };
    let params: Vec<(&str, &str)> =
        content_type.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let item = matching::Item {
        media_type: &content_type.essence,
        params: &params,
        length: Some(body.len() as u64),
        ..matching::Item::default()
    };
    let named = content_type.param("charset").unwrap_or("utf-8");
    let reads = matching::charset_ok(cpi, named)
        || (named.eq_ignore_ascii_case("utf-8") && body.is_ascii() && matching::charset_ok(cpi, "us-ascii"));
    // The only other thing that is done with it under no pressure is a link, which is worth less than this.
    let liked = matching::quality(cpi, &item, options);
    reads
        && Utility::kept(liked).0 > Utility::linked(Q_MAX).0
        && matching::coding_quality(cpi, "identity") > 0
        && Limits::new(cpi, "identity", settings, budget).hold(body.len() as u64, octets(fields))
}
