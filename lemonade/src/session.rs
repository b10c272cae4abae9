//! The protocol without a socket: greeting, STARTTLS, CAPABILITY, authentication, URLFETCH.
//!
//! Give what came to [`Session::receive`]; ask [`Session::step`] until it says [`Step::Wait`]. Time is the caller's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::capability::Capabilities;
use crate::fault::FetchError;
use crate::fetched::Fetched;
use crate::reply::{Limits, Reader, Reply};
use crate::word::{quote, words};

/// Octets of the reason of a refusal that are kept.
const REASON: usize = 120;

/// Who a session is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Login {
    /// Nobody: SASL ANONYMOUS, or where the server has none `LOGIN anonymous` (RFC 5092 §3.2); the text says who asks.
    Anonymous(String),
    /// A user.
    User {
        /// Its name.
        name: String,
        /// Its password.
        password: String,
        /// Whether the password may go over a connection in clear.
        in_clear: bool,
    },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Login::Anonymous(_) => "anonymous",
            Login::User { .. } => "a user",
        })
    }
}

/// Whether STARTTLS is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// No: the connection has TLS already, or is to have none.
    Nothing,
    /// If the server offers it.
    IfOffered,
    /// Or nothing is done at all.
    Always,
}

/// What is to be done.
#[derive(Debug)]
pub enum Step {
    /// Send these octets.
    Send(Vec<u8>),
    /// Make the TLS handshake on this connection, then call [`Session::secured`].
    Secure,
    /// Wait for octets.
    Wait,
    /// The session is ready for a URL.
    Ready,
    /// This became of the URL.
    Done(Fetched),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    /// Capabilities are asked for before the login.
    Asking,
    StartTls,
    Handshake,
    Login,
    /// Capabilities are asked for after the login.
    AskingAgain,
    Ready,
    Fetching,
    Failed,
}

/// A session with one server.
#[derive(Debug)]
pub struct Session {
    reader: Reader,
    login: Login,
    want: Want,
    secure: bool,
    state: State,
    known: Option<Capabilities>,
    number: u32,
    tag: String,
    /// The response that a server asks for with `+`.
    response: Option<Vec<u8>>,
    out: Option<Vec<u8>>,
    fetched: Option<Fetched>,
    reason: Option<String>,
}

impl Session {
    /// A session on a fresh connection; `secure` says whether it has TLS already.
    pub const fn new(login: Login, want: Want, secure: bool, limits: Limits) -> Session {
        Session {
            reader: Reader::new(limits),
            login,
            want,
            secure,
            state: State::Greeting,
            known: None,
            number: 0,
            tag: String::new(),
            response: None,
            out: None,
            fetched: None,
            reason: None,
        }
    }

    /// What the server can do, as far as it said so.
    pub fn capabilities(&self) -> Capabilities {
        self.known.unwrap_or_default()
    }

    /// Takes what came.
    pub fn receive(&mut self, octets: &[u8]) {
        self.reader.push(octets);
    }

    /// TLS is there.
    pub fn secured(&mut self) {
        self.secure = true;
        // What was said in clear counts no more (RFC 3501 §6.2.1).
        self.known = None;
        self.ask(State::Asking);
    }

    /// Asks for a URL, once the session is [`Step::Ready`]; `binary` asks the server to take the encoding off.
    ///
    /// # Errors
    /// [`FetchError::Unexpected`] if it is not ready, or the URL holds what no command may.
    pub fn fetch(&mut self, url: &str, binary: bool) -> Result<(), FetchError> {
        let url =
            quote(url.as_bytes()).filter(|_| self.state == State::Ready).ok_or(FetchError::Unexpected)?;
        (self.fetched, self.reason) = (None, None);
        match binary {
            true => self.command(&[b"URLFETCH (", &url, b" BODYPARTSTRUCTURE BINARY)"]),
            false => self.command(&[b"URLFETCH ", &url]),
        }
        self.state = State::Fetching;
        Ok(())
    }

    /// What is to be done next.
    ///
    /// # Errors
    /// [`FetchError`]: the session is over, or, if it [`FetchError::is_refusal`], ready for another URL.
    pub fn step(&mut self) -> Result<Step, FetchError> {
        loop {
            if let Some(octets) = self.out.take() {
                return Ok(Step::Send(octets));
            }
            match self.state {
                State::Handshake => return Ok(Step::Secure),
                State::Failed => return Err(FetchError::Closed),
                _ => {}
            }
            let taken = self.reader.take();
            let Some(reply) = taken.inspect_err(|_| self.state = State::Failed)? else {
                return Ok(if self.state == State::Ready { Step::Ready } else { Step::Wait });
            };
            match self.judge(reply) {
                Ok(None) => {}
                Ok(Some(step)) => return Ok(step),
                Err(error) => {
                    if !error.is_refusal() {
                        self.state = State::Failed;
                    }
                    return Err(error);
                }
            }
        }
    }

    fn judge(&mut self, reply: Reply) -> Result<Option<Step>, FetchError> {
        let head = reply.head();
        if let Some(known) = Capabilities::within(head) {
            self.known = Some(known);
        }
        if head.starts_with(b"+") {
            let response = self.response.take().ok_or(FetchError::Unexpected)?;
            self.out = Some(response);
            return Ok(None);
        }
        if let Some(status) = reply.after(self.tag.as_bytes()).filter(|_| !self.tag.is_empty()) {
            let outcome = Outcome::of(status);
            return self.ended(outcome);
        }
        if self.state == State::Greeting {
            return self.greeted(head).map(|()| None);
        }
        if starts(head, "* BYE") {
            return Err(FetchError::Closed);
        }
        if starts(head, "* NO ") {
            self.reason = refusal(head);
            return Ok(None);
        }
        if self.state == State::Fetching && starts(head, "* URLFETCH") {
            self.fetched = Fetched::read(words(reply)?);
        }
        Ok(None)
    }

    fn greeted(&mut self, head: &[u8]) -> Result<(), FetchError> {
        if starts(head, "* BYE") {
            return Err(FetchError::Closed);
        }
        if starts(head, "* PREAUTH") {
            // Whoever the server takes us for, STARTTLS is not possible any more.
            return match self.want {
                Want::Always => Err(FetchError::NoTls),
                _ => {
                    self.ask(State::AskingAgain);
                    Ok(())
                }
            };
        }
        if !starts(head, "* OK") {
            return Err(FetchError::Unexpected);
        }
        match self.known {
            Some(_) => self.open(),
            None => {
                self.ask(State::Asking);
                Ok(())
            }
        }
    }

    /// The command under way has ended.
    fn ended(&mut self, outcome: Outcome) -> Result<Option<Step>, FetchError> {
        self.tag.clear();
        let ok = outcome == Outcome::Ok;
        match self.state {
            State::Asking if ok => self.open().map(|()| None),
            State::StartTls if ok => {
                if self.reader.has_rest() {
                    return Err(FetchError::Injected);
                }
                self.state = State::Handshake;
                Ok(None)
            }
            State::StartTls => Err(FetchError::NoTls),
            State::Login if !ok => Err(FetchError::Login),
            State::Login if self.known.is_none() => {
                self.ask(State::AskingAgain);
                Ok(None)
            }
            State::Login | State::AskingAgain if ok => {
                if !self.capabilities().urlauth {
                    return Err(FetchError::NoUrlAuth);
                }
                self.state = State::Ready;
                Ok(None)
            }
            State::Fetching => {
                self.state = State::Ready;
                self.fetched(outcome).map(Some)
            }
            _ => Err(FetchError::Unexpected),
        }
    }

    fn fetched(&mut self, outcome: Outcome) -> Result<Step, FetchError> {
        let reason = self.reason.take();
        match (outcome, self.fetched.take()) {
            (Outcome::Ok, Some(Fetched::Part(part))) if part.octets.is_empty() => Err(FetchError::Empty),
            (Outcome::Ok, Some(Fetched::Nil) | None) => Err(FetchError::Refused(reason)),
            (Outcome::Ok, Some(fetched)) => Ok(Step::Done(fetched)),
            // RFC 4467: BAD for arguments that are invalid.
            (Outcome::Bad, _) => Err(FetchError::Refused(reason)),
            (Outcome::No, _) => Err(FetchError::Failed),
        }
    }

    /// Capabilities are known: TLS if it is wanted, then the login.
    fn open(&mut self) -> Result<(), FetchError> {
        let offered = self.capabilities().starttls;
        match (self.secure, self.want) {
            (false, Want::Always) if !offered => return Err(FetchError::NoTls),
            (false, Want::Always | Want::IfOffered) if offered => {
                self.command(&[b"STARTTLS"]);
                self.state = State::StartTls;
                return Ok(());
            }
            _ => {}
        }
        self.log_in()
    }

    fn log_in(&mut self) -> Result<(), FetchError> {
        // What is said before the login is not what counts behind it.
        let known = self.known.take().unwrap_or_default();
        match self.login.clone() {
            Login::Anonymous(who) => {
                let trace = STANDARD.encode(who.as_bytes());
                match (known.anonymous, quote(who.as_bytes())) {
                    (true, _) => self.authenticate("ANONYMOUS", trace, known),
                    (false, Some(who)) if !known.login_disabled => {
                        self.command(&[b"LOGIN anonymous ", &who]);
                    }
                    _ => return Err(FetchError::Login),
                }
            }
            Login::User { in_clear: false, .. } if !self.secure => return Err(FetchError::InClear),
            Login::User { name, password, .. } => {
                if known.plain {
                    let response = [b"\0", name.as_bytes(), b"\0", password.as_bytes()].concat();
                    self.authenticate("PLAIN", STANDARD.encode(response), known);
                } else if known.login_disabled {
                    return Err(FetchError::Login);
                } else {
                    let quoted = (quote(name.as_bytes()), quote(password.as_bytes()));
                    let (Some(name), Some(password)) = quoted else { return Err(FetchError::Credentials) };
                    self.command(&[b"LOGIN ", &name, b" ", &password]);
                }
            }
        }
        self.state = State::Login;
        Ok(())
    }

    fn authenticate(&mut self, mechanism: &str, response: String, known: Capabilities) {
        if known.initial_response {
            let response = if response.is_empty() { "=" } else { &response };
            self.command(&[b"AUTHENTICATE ", mechanism.as_bytes(), b" ", response.as_bytes()]);
            return;
        }
        self.command(&[b"AUTHENTICATE ", mechanism.as_bytes()]);
        self.response = Some([response.as_bytes(), b"\r\n"].concat());
    }

    fn ask(&mut self, state: State) {
        self.command(&[b"CAPABILITY"]);
        self.state = state;
    }

    fn command(&mut self, words: &[&[u8]]) {
        self.number = self.number.wrapping_add(1);
        self.tag = format!("a{}", self.number);
        self.reader.expect(&self.tag);
        self.response = None;
        self.out = Some([self.tag.as_bytes(), b" ", &words.concat(), b"\r\n"].concat());
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    No,
    Bad,
}

impl Outcome {
    fn of(status: &[u8]) -> Outcome {
        match () {
            () if starts(status, "OK") => Outcome::Ok,
            () if starts(status, "NO") => Outcome::No,
            () => Outcome::Bad,
        }
    }
}

fn starts(text: &[u8], with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
}

/// Why, as an untagged NO says it. Real servers quote the URL first, token and all: what is kept stands behind it.
fn refusal(head: &[u8]) -> Option<String> {
    let start = head.iter().rposition(|&octet| octet == b'"')? + 1;
    let text = head.get(start..)?.iter().copied().filter(|octet| matches!(octet, b' '..=b'~'));
    let text: String = text.take(REASON).map(char::from).collect();
    let text = text.trim_start_matches([':', ' ']).trim_end_matches('.').to_owned();
    Some(text).filter(|text| !text.is_empty() && !text.to_ascii_lowercase().contains("urlauth="))
}

#[cfg(test)]
mod tests;
