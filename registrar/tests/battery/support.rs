//! A registrar on a store of its own, a clock that stands still, and phones that register.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use registrar::{Binding, GruuKey, Lookup, Options, RegisterOutcome, Registrar, Source};
use sip::{Framed, HeaderId, Limits, Message, Request, Response, Uri};
use store::Store;

pub(crate) const AOR: &str = "sip:john@example.com";

/// A registrar with its folder; it can be started again.
pub(crate) struct House {
    dir: tempfile::TempDir,
    options: Options,
    store: Option<Store>,
    registrar: Option<Arc<Registrar>>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options { domains: vec!["example.com".into()], ..Options::default() };
        change(&mut options);
        let mut house = Self { dir: tempfile::tempdir().unwrap(), options, store: None, registrar: None };
        house.restart();
        house
    }

    pub(crate) fn restart(&mut self) {
        (self.registrar, self.store) = (None, None);
        let store = Store::open(self.dir.path(), store::Options::default()).unwrap();
        self.registrar = Some(Arc::new(Registrar::open(&store, self.options.clone())));
        self.store = Some(store);
    }

    /// Before anyone else holds the registrar.
    pub(crate) fn set_gruu_key(&mut self, key: GruuKey) {
        let registrar = Arc::into_inner(self.registrar.take().unwrap()).unwrap();
        self.registrar = Some(Arc::new(registrar.with_gruu_key(key)));
    }

    pub(crate) fn registrar(&self) -> &Arc<Registrar> {
        self.registrar.as_ref().unwrap()
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    pub(crate) async fn send(&self, request: &Request, at: u64) -> RegisterOutcome {
        self.registrar().register(request, source(), now(at)).await
    }

    pub(crate) async fn send_text(&self, text: &str, at: u64) -> RegisterOutcome {
        self.send(&request(text.as_bytes()), at).await
    }

    pub(crate) fn find(&self, at: u64) -> Lookup {
        self.registrar().lookup(&uri(AOR), now(at))
    }

    pub(crate) fn bindings(&self, at: u64) -> Vec<Arc<Binding>> {
        match self.find(at) {
            Lookup::Bindings(bindings) => bindings,
            Lookup::Known | Lookup::Unknown => Vec::new(),
        }
    }

    pub(crate) fn only_binding(&self, at: u64) -> Arc<Binding> {
        let bindings = self.bindings(at);
        assert_eq!(bindings.len(), 1);
        Arc::clone(&bindings[0])
    }
}

/// `at` seconds after the moment in the example messages.
pub(crate) fn now(at: u64) -> SystemTime {
    httpdate::parse_http_date("Mon, 24 Jun 2030 08:00:00 GMT").unwrap() + Duration::from_secs(at)
}

pub(crate) fn source() -> Source {
    Source {
        transport: "TCP".into(),
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.7:40000".parse().unwrap(),
        flow: Some(7),
    }
}

pub(crate) fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

/// An example message.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages");
    std::fs::read(format!("{folder}/{name}.msg")).unwrap()
}

pub(crate) fn request(octets: &[u8]) -> Request {
    match message(octets) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

pub(crate) fn response(octets: &[u8]) -> Response {
    match message(octets) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn message(octets: &[u8]) -> Message {
    let limits = Limits::default();
    let framed = sip::frame::datagram(Bytes::copy_from_slice(octets), &limits).unwrap();
    let Framed::Message(raw) = framed else { panic!("no message") };
    sip::validate(raw, &limits).unwrap()
}

/// A REGISTER for [`AOR`]; `lines` are header lines without line ends.
pub(crate) fn register(call_id: &str, cseq: u32, lines: &[&str]) -> Request {
    register_for(AOR, call_id, cseq, lines)
}

pub(crate) fn register_for(aor: &str, call_id: &str, cseq: u32, lines: &[&str]) -> Request {
    register_at("sip:example.com", aor, call_id, cseq, lines)
}

pub(crate) fn register_at(uri: &str, aor: &str, call_id: &str, cseq: u32, lines: &[&str]) -> Request {
    let mut text = format!(
        "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bK{call_id}{cseq}\r\n\
         Max-Forwards: 70\r\nTo: <{aor}>\r\nFrom: <{aor}>;tag=1\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n"
    );
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    request(text.as_bytes())
}

/// The Contact lines of an outcome.
pub(crate) fn contacts(outcome: &RegisterOutcome) -> Vec<String> {
    lines(outcome, HeaderId::Contact)
}

pub(crate) fn lines(outcome: &RegisterOutcome, id: HeaderId) -> Vec<String> {
    outcome.values(id).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}
