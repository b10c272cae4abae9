//! Every key of the config, with what it means and what it is when nobody writes it.
//!
//! `docs/config-reference.md` is printed from here, so these comments are what operators read.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::announce::Annc;
use super::choices::{AuthMode, ForkMode, Level, Relay, TierReading, UnknownTerminal, WatcherRule};
use super::section::{section, tables};
use super::values::{Cidr, Domain, List, Listen, Period, Size, Transport};

section! {
    /// Keys that stand before the first table.
    Config {
        /// Domains this server is responsible for. Instead of the list there may be tables,
        /// `[[domain]]` with `name` and `adapt`, to switch adaptation for one domain.
        domain: List<Domain> = List(vec![Domain { name: "localhost".to_owned(), adapt: None }]),
        /// Where bindings and content are kept. Made if it is not there.
        data_dir: PathBuf = PathBuf::from("./bespoke-data"),
        /// SIP sockets.
        sip: Sip = Sip::default(),
        /// Certificates.
        tls: Tls = Tls::default(),
        /// Names.
        dns: Dns = Dns::default(),
        /// The public HTTP listener.
        http: Http = Http::default(),
        /// The listener of the operators.
        admin: Admin = Admin::default(),
        /// Who proves to be who.
        auth: Auth = Auth::default(),
        /// Routing.
        proxy: Proxy = Proxy::default(),
        /// Trusted neighbours.
        peer: Vec<Peer> = Vec::new(),
        /// Next hops.
        route: Vec<Route> = Vec::new(),
        /// Durable state.
        store: Store = Store::default(),
        /// REGISTER.
        registrar: Registrar = Registrar::default(),
        /// Capabilities.
        cpi: Cpi = Cpi::default(),
        /// Profiles of terminals.
        device: Vec<Device> = Vec::new(),
        /// Adaptation.
        adapt: Adapt = Adapt::default(),
        /// Sound and video.
        media: Media = Media::default(),
        /// Switches of one user.
        user: Vec<User> = Vec::new(),
        /// Several phones of one user.
        fork: Fork = Fork::default(),
        /// Content behind links.
        content: Content = Content::default(),
        /// Fetching.
        fetch: Fetch = Fetch::default(),
        /// Messages for nobody at home.
        offline: Offline = Offline::default(),
        /// Presence.
        presence: Presence = Presence::default(),
        /// Lists to subscribe to.
        list: Vec<EventList> = Vec::new(),
        /// Announcements.
        annc: Annc = Annc::default(),
        /// Mail over HTTP.
        lemonade: Lemonade = Lemonade::default(),
        /// Limits.
        limits: Limits = Limits::default(),
        /// Load.
        overload: Overload = Overload::default(),
        /// The log.
        log: Log = Log::default(),
    }
}

section! {
    /// Where SIP is heard.
    Sip {
        /// Sockets: `udp:`, `tcp:`, `tls:`, `ws:` or `wss:` and an address with a port; port 0 takes a
        /// free one. A ws or wss entry equal to `http.listen` shares that listener (with wss it speaks
        /// HTTPS); one that overlaps it is refused. Unset, the ws entry follows `http.listen`.
        listen: List<Listen> = List(vec![
            Listen { transport: Transport::Udp, address: loopback(5060) },
            Listen { transport: Transport::Tcp, address: loopback(5060) },
            Listen { transport: Transport::Ws, address: loopback(8080) },
        ]),
        /// The host written into Via, Warning and Content-Adapted. Unset: the address of the socket in
        /// Via, the first domain elsewhere. Needed when a socket is bound to every address (0.0.0.0).
        host: Option<String> = None,
        /// Origins whose pages may open a WebSocket, as in `https://phone.example.com`. Empty: any.
        origins: List<String> = List(Vec::new()),
        /// A WebSocket that was silent for so long is pinged; one that answers three pings with
        /// nothing is closed.
        ping: Period = Period::seconds(30),
        /// Threads that SIP runs on; 0 is one for every two cores.
        workers: u32 = 0,
    }
}

section! {
    /// Certificates, all of them PEM. Read again on SIGHUP and when a file changes; connections go on with
    /// what they began with, and files that are no good change nothing.
    Tls {
        /// Our chain, our own certificate first. Needed for tls and wss; shown to servers that ask, too.
        cert: Option<PathBuf> = None,
        /// Its key.
        key: Option<PathBuf> = None,
        /// Roots of the servers this one connects to, whose certificate must be for the domain of the
        /// URI (RFC 5922: no wildcards). Unset: those of the system.
        ca: Option<PathBuf> = None,
        /// Roots of clients. Set, clients are asked for a certificate and may have none; one that does
        /// not hold ends the handshake. Unset: no client is asked.
        client_ca: Option<PathBuf> = None,
    }
}

section! {
    /// How next hops are found by name: NAPTR, SRV and addresses (RFC 3263).
    Dns {
        /// Name servers, each an address with a port: `192.0.2.53:53`. None: those of
        /// `/etc/resolv.conf`, which like `/etc/hosts` is read at start.
        servers: List<SocketAddr> = List(Vec::new()),
        /// What all questions for one next hop may take; a sender whose message waits longer is
        /// answered 504.
        timeout: Period = Period::seconds(5),
        /// Answers kept, each as long as its records say and at most an hour.
        cache: u32 = 4096,
    }
}

section! {
    /// The public HTTP listener: content behind links, `/healthz`, `/readyz`.
    Http {
        /// Address and port.
        listen: SocketAddr = loopback(8080),
        /// Speak TLS, with HTTP/2 for who wants it, by the certificate of `[tls]`. An entry `wss` of
        /// `sip.listen` that shares the listener does the same.
        tls: bool = false,
        /// How links begin. Unset on loopback: `http://` or `https://` and `http.listen`; elsewhere
        /// required.
        public_url: Option<String> = None,
    }
}

section! {
    /// The listener of the operators: `/`, `/healthz`, `/readyz`, `/metrics`.
    Admin {
        /// Address and port.
        listen: SocketAddr = loopback(8081),
        /// A file whose first line is the token that `Authorization: Bearer` must carry. Beyond loopback this
        /// or `admin.client_ca` is required.
        token_file: Option<PathBuf> = None,
        /// Speak TLS, by the certificate of `[tls]`.
        tls: bool = false,
        /// Roots of clients: who shows a certificate of theirs needs no token. With no token file nobody else
        /// is let in. Needs `admin.tls`.
        client_ca: Option<PathBuf> = None,
    }
}

section! {
    /// Who proves to be who.
    Auth {
        /// `digest`: users prove their password (RFC 8760), which `bespoke user add` sets; `none`: everybody
        /// is believed.
        mode: AuthMode = AuthMode::None,
        /// Algorithms of the challenge, most wanted first: `SHA-256` and `MD5`. One that is added later works
        /// for the users whose password is set after that.
        algorithms: List<String> = List(vec!["SHA-256".to_owned()]),
        /// Take responses without `qop`, as RFC 2069 had them. They protect less; each needs a challenge of its
        /// own.
        legacy: bool = false,
        /// How long the nonce of a challenge is good. A terminal notices nothing when it gets another.
        nonce_lifetime: Period = Period::seconds(300),
        /// Nonces in use at once, with the count of each; beyond, the oldest are asked for again.
        nonces: u32 = 100_000,
        /// Wrong passwords from one address, or for one user, within the time of a ban that begin one: until it
        /// ends, 403 without a look at the password. A terminal that proved its password from the same address
        /// within a day is let through. 0: no bans.
        max_failures: u32 = 10,
        /// How long a ban lasts.
        ban: Period = Period::seconds(300),
        /// Addresses and users whose wrong passwords are counted, each; beyond, the oldest are forgotten.
        ban_table: u32 = 100_000,
        /// Says that a socket beyond loopback with `auth.mode = "none"` is meant.
        allow_open: bool = false,
    }
}

section! {
    /// Routing of requests for domains that are not ours.
    Proxy {
        /// Who may send to them: users who proved who they are and peers, peers only, or nobody. With
        /// `auth.mode = "none"` nobody but a peer has proved it.
        relay: Relay = Relay::Authenticated,
        /// An address of a next hop that refused, was silent for `fork.next_after` or said 503 is tried
        /// after its other addresses for so long; 0s is never. A Retry-After in a 503 is kept to for up to
        /// a minute.
        avoid_failed: Period = Period::seconds(30),
    }
}

section! {
    /// A trusted neighbour: not asked for a password, believed when it says whom a request is from
    /// (P-Asserted-Identity, RFC 3325), and let through by `proxy.relay`. The REGISTER of a user it must assert
    /// or bring the password of.
    Peer {
        /// A block of addresses: `192.0.2.0/24`, or one address.
        address: Option<Cidr> = None,
        /// The domain its certificate speaks for (RFC 5922); needs `tls.client_ca`. With `address`, both must hold.
        tls_name: Option<String> = None,
    }
}

section! {
    /// Where requests for one domain go, instead of to what their URI says.
    Route {
        /// The domain.
        domain: String = String::new(),
        /// The next hop, a SIP URI with an address or a name: `sip:192.0.2.7:5060;transport=tcp`,
        /// `sip:edge.example.net`.
        next_hop: String = String::new(),
        /// Phones of that domain register and send through this server (RFC 5626): who they are is
        /// asked there, and what comes for them goes over the connections they opened.
        edge: bool = false,
    }
}

section! {
    /// Where durable state is kept.
    Store {
        /// `embedded`, below `data_dir`. Redis is not in this version.
        url: String = "embedded".to_owned(),
    }
}

section! {
    /// REGISTER (RFC 3261 §10.3).
    Registrar {
        /// An AOR whose last binding ended is still known this long: 480 rather than 404.
        remember: Period = Period::days(30),
        /// Seconds. A shorter registration is answered 423; at most 3600.
        min_expires: u32 = 60,
        /// Seconds, for a Contact that names none.
        default_expires: u32 = 3600,
        /// Seconds to which a longer registration is shortened; 0 is no limit.
        max_expires: u32 = 0,
        /// A Path is refused with 420 when the terminal does not say that it knows Path
        /// (RFC 3327 §5.3); off takes it all the same.
        path_needs_support: bool = true,
    }
}

section! {
    /// What terminals say they can show.
    Cpi {
        /// Accept headers in a REGISTER describe the terminal, not the response.
        from_register_accept: bool = true,
        /// A terminal that said nothing: its bodies pass, it is asked with OPTIONS, or it gets links.
        unknown: UnknownTerminal = UnknownTerminal::Passthrough,
        /// Several entries of one media type: the most wanted that can be reached, or any that fits.
        tiers: TierReading = TierReading::Honour,
        /// An entry for `image/gif` hides one for `image/*` even when the latter has a lower q.
        strict_specificity: bool = false,
        /// Names of further numeric parameters beside length, media-pix-x and media-pix-y. Those that clips
        /// are adapted to are `audio-rate` (samples a second), `audio-channels` and `frame-rate` (pictures
        /// a second).
        extensions: List<String> = List(Vec::new()),
    }
}

section! {
    /// What a kind of terminal can show that never says so itself. The first that matches holds.
    Device {
        /// Compared with the whole User-Agent; `*` stands for any text: `Nokia7650/*`.
        user_agent: String = String::new(),
        /// An Accept header, as in `image/jpeg;media-pix-x=max+160;media-pix-y=max+120`.
        accept: Option<String> = None,
        /// An Accept-Encoding header, as in `identity;length=max+32768`.
        accept_encoding: Option<String> = None,
        /// An Accept-Charset header.
        accept_charset: Option<String> = None,
        /// The largest whole message.
        max_size: Option<Size> = None,
    }
}

section! {
    /// Adaptation of bodies to terminals.
    Adapt {
        /// Off makes a plain proxy.
        enabled: bool = true,
        /// Threads that turn pixels; 0 is one for each core.
        workers: u32 = 0,
        /// A message that is not ready then goes with the best plan that is, or as a link.
        deadline: Period = Period::seconds(4),
        /// Memory that one picture may take while it is transformed; a larger one becomes a link.
        picture_memory: Size = Size(256 << 20),
        /// A part that its sender allowed to be left out, and that was, is named in a line below the text that comes
        /// first.
        drop_note: bool = false,
        /// What message/cpim wraps is adapted too, unless it is signed; its own headers never are.
        cpim: bool = false,
        /// Other servers that adapt for this one: `http://10.0.0.7:8081`, the address of their operators'
        /// listener, whose `/adapt` is asked in turn. A body that none of them adapts within six tenths of
        /// `adapt.deadline` is adapted here, or becomes a link.
        offload: List<String> = List(Vec::new()),
        /// A file whose first line is their `admin.token_file`'s token.
        offload_token_file: Option<PathBuf> = None,
        /// Roots of their certificates, for `https://` addresses. Unset: those of the system.
        offload_ca: Option<PathBuf> = None,
        /// Show them our own certificate, that of `[tls]`: what their `admin.client_ca` asks for.
        offload_certificate: bool = false,
    }
}

section! {
    /// Sound and video. WAV, AU, MP3, AAC, FLAC and Vorbis become WAV, audio/basic or audio/L16 in this process;
    /// AMR, video and what needs an encoder are turned by ffmpeg, if it is installed and runs in its cage: a
    /// child without sockets, other programs, files to write, and with the limits below. Else they become links.
    Media {
        /// Where ffmpeg is; empty: on the search path; `off`: nowhere. Its libraries must be in /usr, /lib,
        /// /opt, /nix/store or beside it: nothing else can be read in its cage.
        ffmpeg: String = String::new(),
        /// Processor time of one run.
        cpu: Period = Period::seconds(10),
        /// Address space of one run.
        memory: Size = Size(1 << 30),
        /// Pixels of a picture of a video; what has more becomes a link.
        pixels: u32 = 4 << 20,
        /// Octets of a clip; a larger one becomes a link.
        octets: Size = Size(32 << 20),
        /// How much of a clip is turned; what is behind it is left out.
        seconds: Period = Period::seconds(600),
    }
}

section! {
    /// A user the server knows by name: 480 rather than 404 when nobody is registered.
    User {
        /// The address of record: `sip:alice@example.com`.
        aor: String = String::new(),
        /// Switches adaptation for this user; unset is what the domain or `adapt.enabled` says.
        adapt: Option<bool> = None,
    }
}

section! {
    /// A message for several phones of one user.
    Fork {
        /// When one phone needs a change and all take links: a link for each, or a copy for each.
        mode: ForkMode = ForkMode::Indirect,
        /// A phone that is silent this long is taken for gone: its other contact, or the phones of the
        /// next lower q, are tried while it may still answer. A call that was heard of, if only by a 100,
        /// is waited for. Where the phones of a user would need more than 24 s in all, they get less each.
        next_after: Period = Period::seconds(4),
    }
}

section! {
    /// Content behind links.
    Content {
        /// `disk`, below `data_dir`; `s3://bucket/prefix?endpoint=..&region=..`, whose keys come from
        /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` and whose prefix no other server may use; or
        /// `off`: nothing becomes a link.
        store: String = "disk".to_owned(),
        /// How long a link works, at least the Expires of its message.
        ttl: Period = Period::days(7),
        /// The largest single content.
        max_item: Size = Size(64 << 20),
        /// The most that is kept at once.
        max_total: Size = Size(10 << 30),
        /// The most that is kept for one recipient.
        max_recipient: Size = Size(512 << 20),
        /// The most that is kept of one sender; what he sends to many counts once.
        max_sender: Size = Size(512 << 20),
        /// Adapted contents in memory, so that the next terminal of a kind gets its own at once.
        cache_memory: Size = Size(64 << 20),
        /// Adapted contents below `data_dir`.
        cache_disk: Size = Size(1 << 30),
    }
}

section! {
    /// Contents that a sender only names by a URL (`message/external-body`), fetched for terminals that do not know
    /// such parts and adapted as if they had come in the message. From hosts that are not listed nothing is fetched:
    /// those terminals get the URL as text, all others what the sender wrote.
    Fetch {
        /// Hosts, by name or address, each with its port if that is not the one of http or https:
        /// `pictures.example.net`, `10.0.0.7:8080`. Redirections lead to listed hosts only.
        allow: List<String> = List(Vec::new()),
        /// Names may lead to private addresses, and to this machine. Addresses that are listed as such always may.
        private: bool = false,
        /// How long a content may take, at most half of `adapt.deadline`.
        timeout: Period = Period::seconds(2),
        /// The largest content; of one whose sender says its size, that.
        max_item: Size = Size(8 << 20),
    }
}

section! {
    /// Messages for users who can't be reached: no phone is registered, or none answers. They are delivered
    /// in their order when the user registers again, adapted to the phone that did. A quota that is full is
    /// answered 480.
    Offline {
        /// Keep them and answer 202. Off: 480, and what was kept before is still delivered.
        store: bool = true,
        /// How long, unless the message's Expires says less.
        ttl: Period = Period::days(7),
        /// A message whose delivery came to nothing this often is given up; attempts within a minute
        /// count once.
        attempts: u32 = 10,
        /// Messages that may wait for one user.
        user_messages: u32 = 200,
        /// Their octets together.
        user_octets: Size = Size(32 << 20),
        /// Messages of one sender that may wait, for all users. Who did not prove who he is counts by the
        /// address he sends from.
        sender_messages: u32 = 1000,
        /// Their octets together.
        sender_octets: Size = Size(128 << 20),
        /// Messages that may wait altogether; half a kilobyte of each is held in memory.
        max_messages: u32 = 100_000,
        /// Their octets on the disk.
        max_total: Size = Size(1 << 30),
        /// Users whose messages are delivered at the same time.
        deliveries: u32 = 64,
    }
}

section! {
    /// The presence server: PUBLISH, and SUBSCRIBE to `presence`, `presence.winfo` and `reg` of users of ours.
    Presence {
        /// Answer them. Off: they go to the user's phones.
        enabled: bool = true,
        /// What a watcher gets whom no rule of the presentity means: `allow`, `pending` until the presentity
        /// decides, `polite-block` (always "not there"), `block` (403). Rules are set at
        /// `/api/v1/presence/{aor}/rules`.
        default: WatcherRule = WatcherRule::Allow,
        /// Time between two NOTIFYs of one subscription; the latest state wins.
        notify_every: Period = Period::seconds(5),
        /// Seconds a publication or a subscription lasts at least; less is answered 423.
        min_expires: u32 = 60,
        /// Seconds a publication lasts that does not say.
        default_expires: u32 = 3600,
        /// Seconds either lasts at most.
        max_expires: u32 = 86_400,
        /// Publications of one user at the same time.
        publications: u32 = 16,
        /// Octets of a presence document; more is answered 413.
        document: Size = Size(256 << 10),
        /// Octets of a PUBLISH's body, the objects beside the document included.
        body: Size = Size(1 << 20),
        /// Subscriptions altogether; each takes about a kilobyte of memory.
        subscriptions: u32 = 1_000_000,
        /// Subscriptions of one watcher.
        watcher_subscriptions: u32 = 1000,
        /// Subscriptions to one user.
        user_subscriptions: u32 = 20_000,
        /// Watchers whose pending subscription ended before a word was said, and who are still shown to the user
        /// (`waiting`), for each user; of more the oldest go first. 0: none.
        waiting: u32 = 100,
        /// How long one of them is remembered.
        waiting_for: Period = Period::seconds(7 * 86_400),
        /// Subscriptions at the presence servers of domains that have a `[[route]]`, for members of lists who are users
        /// there, each in the name of who watches the list and proved it. 0: of such members nothing is known.
        elsewhere: u32 = 0,
        /// The same for one watcher. Who finds no room is watched when there is some.
        watcher_elsewhere: u32 = 100,
        /// NOTIFYs that leave at the same time; one that is not answered within a second counts no more.
        sending: u32 = 1000,
    }
}

section! {
    /// A list that one SUBSCRIBE watches (RFC 4662); others are kept at `/api/v1/lists/{uri}`.
    EventList {
        /// Its address, in a domain of ours: `friends.john@example.com`.
        uri: String = String::new(),
        /// Who alone may watch it. Unset: everybody, and each member decides for himself.
        owner: Option<String> = None,
        /// Whose presence it tells; of users of other domains if `presence.elsewhere` has them watched there.
        members: List<String> = List(Vec::new()),
    }
}

section! {
    /// Mail over HTTP. Not in this version.
    Lemonade {
        /// The IMAP server.
        imap: Option<String> = None,
        /// The submission server.
        smtp: Option<String> = None,
    }
}

section! {
    /// What a peer may send. A message beyond a limit gets an answer that says so.
    Limits {
        /// Start line and headers of a message.
        head: Size = Size(64 << 10),
        /// Header lines of a message.
        lines: u32 = 256,
        /// One header line.
        line: Size = Size(16 << 10),
        /// Via values of a message.
        vias: u32 = 70,
        /// Parameters of one value.
        params: u32 = 64,
        /// The body of a message.
        body: Size = Size(8 << 20),
        /// TCP, TLS and WebSocket connections at once.
        connections: u32 = 20_000,
        /// Connections from one address.
        connections_per_source: u32 = 1000,
        /// What all connections together hold of messages half arrived and of messages that wait to be
        /// written. A message beyond is answered 503, and its connection closed.
        buffered: Size = Size(256 << 20),
        /// How long the head of a message may take to arrive on a connection, and a TLS or WebSocket
        /// handshake.
        head_deadline: Period = Period::seconds(10),
        /// A connection on which nothing comes or goes is closed.
        idle: Period = Period::seconds(900),
        /// Requests a second from one address (of IPv6, from one /64); 0 is no limit. Two seconds' worth
        /// may come at once; more is answered 503 with Retry-After, which asks whatever sends from there to
        /// be quiet for a while. Peers have no limit.
        source_rate: u32 = 0,
        /// Requests a second of one user of ours, whatever he sends from; 0 is no limit.
        user_rate: u32 = 0,
        /// Users that may have a record; a further one gets 503.
        users: u32 = 10_000_000,
        /// Bindings of one user; more are answered 403.
        contacts: u32 = 32,
        /// What the bindings of one user may say they can show, together; more is answered 403.
        cpi: Size = Size(64 << 10),
        /// What one binding may say it can show.
        contact_cpi: Size = Size(16 << 10),
        /// One Contact of a REGISTER, its URI and parameters together; a longer one is answered 403.
        contact: Size = Size(8 << 10),
        /// The URI of one Contact.
        contact_uri: Size = Size(2 << 10),
        /// Parameters of one Contact.
        contact_params: u32 = 64,
        /// Values of the Path of a REGISTER; more are answered 400.
        path_values: u32 = 16,
        /// The Path of a REGISTER, all its values together.
        path: Size = Size(4 << 10),
    }
}

section! {
    /// When there is more than can be done.
    Overload {
        /// SIP transactions at once; beyond, requests get 503.
        transactions: u32 = 200_000,
        /// Requests on their road through the proxy at once; beyond, requests get 503.
        requests: u32 = 10_000,
        /// How long a request may wait for its first step. When one waited longer, new requests get 503 for
        /// half a second, and what is under way is finished first.
        delay: Period = Period::seconds(1),
        /// Bodies that wait for a thread to adapt them; beyond, they go as links or get refused.
        bodies: u32 = 256,
        /// Seconds in the Retry-After of that 503.
        retry_after: u32 = 5,
    }
}

section! {
    /// The log, on stderr.
    Log {
        /// One line for each message is `info`. The environment variable `RUST_LOG` wins.
        level: Level = Level::Info,
        /// Users, Call-IDs and tokens show as a short hash of themselves.
        redact: bool = true,
    }
}

tables!(
    Sip, Tls, Dns, Http, Admin, Auth, Proxy, Store, Registrar, Cpi, Adapt, Media, Fork, Content, Fetch,
    Offline, Presence, Annc, Lemonade, Limits, Overload, Log
);

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
