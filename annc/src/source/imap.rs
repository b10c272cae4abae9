//! Parts of mails (draft-cook-lemonade-streaming §2.4, RFC 5616 §3.8).

use lemonade::{Access, Encoding, ImapUrl, Login, Server, TlsMode};

use super::{Content, SourceError, Sources};
use crate::order::Order;

/// An IMAP server of which the operator says more than that it may be reached.
#[derive(Clone)]
pub struct ImapServer {
    /// Its name, as in URLs.
    pub host: String,
    /// Its port, as in URLs.
    pub port: u16,
    /// How connections are secured.
    pub tls: TlsMode,
    /// Name and password of this server there.
    pub user: Option<(String, String)>,
    /// Whether the password may go in clear.
    pub in_clear: bool,
}

/// The password is not shown.
impl std::fmt::Debug for ImapServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "imap://{}:{} {:?}", self.host, self.port, self.tls)
    }
}

impl Sources {
    pub(super) async fn mail(&self, order: &Order) -> Result<Content, SourceError> {
        let url = ImapUrl::parse(&order.play)?;
        let known =
            |server: &&ImapServer| server.host.eq_ignore_ascii_case(url.host()) && server.port == url.port();
        let server = self.settings.imap.iter().find(known);
        if server.is_none() && !self.gate.allows("imap", url.host(), url.port()) {
            return Err(SourceError::NotAllowed);
        }
        let login = self.login(&url, server)?;
        let encoding =
            order.encoding.as_deref().map(|name| Encoding::from_name(name.as_bytes())).transpose()?;
        let addresses = self.gate.addresses(url.host(), url.port()).await?;
        let place = Server {
            host: url.host().to_owned(),
            port: url.port(),
            tls: server.map_or(TlsMode::IfOffered, |server| server.tls),
            trust: self.settings.trust.clone(),
        };
        let part = self.mail.fetch(&place, &addresses, &login, url.as_str()).await?;
        let media_type = order.content_type.clone().or(part.media_type).unwrap_or_default();
        if part.is_decoded {
            return Ok(Content { octets: part.octets.into(), media_type });
        }
        let said = part.encoding.as_deref().map(|name| Encoding::from_name(name.as_bytes())).transpose()?;
        let encoding = said.or(encoding).unwrap_or(Encoding::Identity);
        Ok(Content { octets: encoding.decode(part.octets)?.into(), media_type })
    }

    /// Who fetches the URL.
    ///
    /// # Errors
    /// [`SourceError::NotAuthorized`] for a URL of somebody else: then the server is not even asked.
    fn login(&self, url: &ImapUrl, server: Option<&ImapServer>) -> Result<Login, SourceError> {
        let user = server.and_then(|server| Some((server.user.as_ref()?, server.in_clear)));
        let Some(((name, password), in_clear)) = user else {
            return match url.access() {
                Access::Anonymous => Ok(Login::Anonymous(self.settings.contact.clone())),
                _ => Err(SourceError::NotAuthorized),
            };
        };
        let may = match url.access() {
            Access::Anonymous | Access::AuthUser | Access::Stream => true,
            Access::User(named) => named == name,
            Access::Other(_) => false,
        };
        match may {
            true => Ok(Login::User { name: name.clone(), password: password.clone(), in_clear }),
            false => Err(SourceError::NotAuthorized),
        }
    }
}
