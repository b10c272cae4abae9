//! Keys of the announcement service.

use std::path::PathBuf;

use super::choices::MailTls;
use super::section::section;
use super::values::{Cidr, List, Period, Size};

section! {
    /// Announcements (RFC 4240): an INVITE for the user `annc` of a domain of ours, or of this server's own
    /// name, plays what its `play=` names: a part of a mail by an IMAP URL (RFC 5616), an object over HTTP, a
    /// file. What may be fetched must be listed here. Read at start.
    Annc {
        /// Answer INVITE to `annc` URIs.
        enabled: bool = false,
        /// RTP ports, `first-last`: an even one for RTP and the next one for RTCP, for each stream.
        ports: String = "30000-30999".to_owned(),
        /// The address RTP leaves from and descriptions name. Unset: every address, and the one the call
        /// came to.
        address: Option<String> = None,
        /// What may be fetched, each a scheme, a host and perhaps a port: `https://media.example.com`,
        /// `http://*.example.com:8080`, `imap://mail.example.com`. A host that is an address may be reached
        /// wherever it is; a name may lead outside only, or into `networks`.
        allow: List<String> = List(Vec::new()),
        /// Networks inside that names may lead to: `10.1.0.0/16`.
        networks: List<Cidr> = List(Vec::new()),
        /// Mail servers of which more is known than that they may be asked.
        imap: Vec<AnncImap> = Vec::new(),
        /// Where `file:` URLs and `/provisioned/` names are looked for: `file:///a.wav` is `a.wav` in it,
        /// `/provisioned/4711` is `provisioned/en/4711.wav` or `provisioned/4711.wav`, after `locale=`. Unset:
        /// no files are played.
        folder: Option<PathBuf> = None,
        /// Calls at once; a further one is answered 486.
        calls: u32 = 200,
        /// The largest announcement.
        octets: Size = Size(16 << 20),
        /// What fetching one may take.
        deadline: Period = Period::seconds(10),
        /// Runs of ffmpeg at once (`media.ffmpeg`), which decodes and codes what is not turned in process: one
        /// for each stream, before the call is answered. A call waits for its turn.
        transcodes: u32 = 2,
        /// What decoding and coding an announcement may take, waiting for a turn included; then the call is
        /// answered 503.
        effort: Period = Period::seconds(20),
        /// What all calls may hold together: what they fetched and its packets. A call waits for its share as
        /// long as it may fetch (`deadline`), then it is answered 503. At least `octets`.
        memory: Size = Size(256 << 20),
        /// How long an announcement is played, all its repetitions together; `repeat=forever` means this.
        longest: Period = Period::seconds(600),
        /// How long a call may be held.
        hold: Period = Period::seconds(300),
        /// A phone whose reports (RTCP) or media came once and stopped, or whose port is closed, is taken for
        /// gone after this.
        silence: Period = Period::seconds(30),
        /// The session interval (RFC 4028) for phones that know session timers, at least 90 s; others are
        /// asked by OPTIONS twice in it.
        session: Period = Period::seconds(1800),
        /// Send RTP to where the phone's first packet came from, for phones behind NAT.
        symmetric: bool = false,
        /// Take calls of those who are no users of ours too, where `auth.mode` is `digest`.
        strangers: bool = false,
        /// Tell and believe keys of SRTP without TLS: everybody on the way reads them. Without it a call under SRTP
        /// whose caller wants to be refreshed, knows no UPDATE and is reached in clear alone ends with its session.
        keys_in_clear: bool = false,
        /// Offer SRTP alone to who calls without an offer over TLS (or where `keys_in_clear` is set); else such
        /// offers are in clear.
        offer_srtp: bool = false,
        /// The status for what could not be fetched though it may be there: 404 as in
        /// draft-cook-lemonade-streaming, or 400 as in RFC 4240.
        failed: u32 = 404,
        /// Told to mail servers that let everybody in: the address of who runs this. Unset: `annc@` and the
        /// first domain.
        contact: Option<String> = None,
        /// Connections to mail servers in use at once.
        connections: u32 = 32,
        /// Connections to mail servers that are kept while they have nothing to do, each for two minutes.
        idle_connections: u32 = 8,
    }
}

section! {
    /// A mail server.
    AnncImap {
        /// Its name, as in URLs.
        host: String = String::new(),
        /// Its port, as in URLs.
        port: u32 = 143,
        /// `starttls`: or it is not used. `offered`: STARTTLS if it is offered. `implicit`: TLS from the first
        /// octet. `off`: none.
        tls: MailTls = MailTls::StartTls,
        /// The name of this server there. Unset: URLs of everybody are fetched, others answered 404.
        user: Option<String> = None,
        /// A file whose first line is the password.
        password_file: Option<PathBuf> = None,
        /// Send the password without TLS too.
        in_clear: bool = false,
    }
}
