//! URIs.

use std::fmt::Write;

use rsip::{Auth, HostWithPort, Param};

use super::{VocabularyError, text};
use crate::host::Host;
use crate::uri::{Scheme, Uri};

impl TryFrom<&Uri> for rsip::Uri {
    type Error = VocabularyError;

    fn try_from(uri: &Uri) -> Result<Self, VocabularyError> {
        let scheme = match uri.scheme() {
            Scheme::Sip => rsip::Scheme::Sip,
            Scheme::Sips => rsip::Scheme::Sips,
            Scheme::Tel | Scheme::Other => return Err(VocabularyError::Scheme),
        };
        if uri.headers().is_some() {
            return Err(VocabularyError::UriHeaders);
        }
        let password = uri.password().map(text).transpose()?;
        let user = uri.user().map(text).transpose()?;
        let auth = user.map(|user| Auth { user, password });
        let host = match uri.host() {
            Some(Host::V4(address)) => rsip::Host::IpAddr(address.into()),
            Some(Host::V6(address)) => rsip::Host::IpAddr(address.into()),
            Some(Host::Name(name)) => rsip::Host::Domain(text(name)?.into()),
            None => return Err(VocabularyError::Scheme),
        };
        let port = uri.port().map(Into::into);
        let params: Result<Vec<Param>, _> = uri.params().map(param).collect();
        let host_with_port = HostWithPort { host, port };
        Ok(rsip::Uri { scheme: Some(scheme), auth, host_with_port, params: params?, headers: Vec::new() })
    }
}

impl TryFrom<&rsip::Uri> for Uri {
    type Error = VocabularyError;

    /// A URI without a scheme is taken for `sip`. rsip prints IPv6 addresses without brackets, here they
    /// have them.
    fn try_from(uri: &rsip::Uri) -> Result<Self, VocabularyError> {
        let mut out = match &uri.scheme {
            None | Some(rsip::Scheme::Sip) => "sip:".to_owned(),
            Some(rsip::Scheme::Sips) => "sips:".to_owned(),
            Some(rsip::Scheme::Other(_)) => return Err(VocabularyError::Scheme),
        };
        if let Some(auth) = &uri.auth {
            // Writing to a String can't fail.
            let _ = write!(out, "{auth}@");
        }
        match uri.host() {
            rsip::Host::IpAddr(address) => {
                let _ = write!(out, "{}", Host::from(*address));
            }
            rsip::Host::Domain(domain) => out.push_str(domain.value()),
        }
        if let Some(port) = uri.port() {
            let _ = write!(out, ":{}", port.value());
        }
        uri.params.iter().for_each(|param| {
            let _ = write!(out, "{param}");
        });
        Ok(Uri::parse(out.as_bytes())?)
    }
}

fn param(param: grammar::Param<'_>) -> Result<Param, VocabularyError> {
    let name = text(param.name)?;
    let value = param.value.map(|value| text(value.raw())).transpose()?;
    let no_such = |_| match name.eq_ignore_ascii_case("transport") {
        true => VocabularyError::Transport,
        false => VocabularyError::Method,
    };
    Param::try_from((name.as_str(), value.as_deref())).map_err(no_such)
}
