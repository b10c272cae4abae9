//! Phones and senders: one socket each, blocking, with a limit on every wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::message::{Message, take_message};
use super::program::Pipe;
use super::{PATIENCE, Server};

static SERIAL: AtomicU32 = AtomicU32::new(1);

/// A number that no other call of this process got.
pub(crate) fn serial() -> u32 {
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

/// One road to the server: a UDP socket, a TCP connection, or a connection that another program holds.
pub(crate) enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
    /// With its name in a Via.
    Piped(Pipe, Vec<u8>, &'static str),
}

impl Line {
    pub(crate) fn udp(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Line::Udp(socket)
    }

    pub(crate) fn tcp(server: SocketAddr) -> Self {
        Line::over(TcpStream::connect(server).unwrap())
    }

    /// The connection that `command` opens; `protocol` is its name in a Via.
    pub(crate) fn piped(command: Command, protocol: &'static str) -> Self {
        Line::Piped(Pipe::start(command), Vec::new(), protocol)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Line::Tcp(stream, Vec::new())
    }

    pub(crate) fn protocol(&self) -> &'static str {
        match self {
            Line::Udp(_) => "UDP",
            Line::Tcp(..) => "TCP",
            Line::Piped(_, _, protocol) => protocol,
        }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Line::Udp(socket) => socket.local_addr().unwrap(),
            Line::Tcp(stream, _) => stream.local_addr().unwrap(),
            Line::Piped(..) => panic!("another program's address"),
        }
    }

    /// The host of this end's Via.
    pub(crate) fn sent_by(&self) -> String {
        match self {
            Line::Piped(..) => "phone.invalid".to_owned(),
            _ => self.local().to_string(),
        }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        match self {
            Line::Udp(socket) => assert_eq!(socket.send(octets).unwrap(), octets.len()),
            Line::Tcp(stream, _) => stream.write_all(octets).unwrap(),
            Line::Piped(pipe, ..) => assert!(pipe.write(octets), "the connection has ended: {}", pipe.said()),
        }
    }

    /// Closes the half of a TCP connection that this end sends on.
    pub(crate) fn send_no_more(&mut self) {
        let Line::Tcp(stream, _) = self else { panic!("only TCP has half an end") };
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Sends as much as the server takes before it closes the connection.
    pub(crate) fn send_what_is_taken(&mut self, octets: &[u8]) {
        match self {
            Line::Udp(_) => self.send(octets),
            Line::Tcp(stream, _) => drop(stream.write_all(octets)),
            Line::Piped(pipe, ..) => drop(pipe.write(octets)),
        }
    }

    /// The next whole message.
    pub(crate) fn receive(&mut self) -> Message {
        Message::parse(&self.receive_octets())
    }

    pub(crate) fn receive_octets(&mut self) -> Vec<u8> {
        match self {
            Line::Udp(socket) => {
                let mut buffer = vec![0; 65_536];
                let length = socket.recv(&mut buffer).expect("a datagram in time");
                buffer.truncate(length);
                buffer
            }
            Line::Tcp(..) | Line::Piped(..) => loop {
                if let Some(message) = take_message(self.pending()) {
                    return message;
                }
                if !self.fill().expect("octets in time") {
                    panic!(
                        "the connection ended; it had brought {:?}",
                        String::from_utf8_lossy(self.pending())
                    );
                }
            },
        }
    }

    /// What has come over a connection and was not received.
    fn pending(&mut self) -> &mut Vec<u8> {
        match self {
            Line::Udp(_) => panic!("UDP is no stream"),
            Line::Tcp(_, pending) | Line::Piped(_, pending, _) => pending,
        }
    }

    /// Waits for what comes next over a connection; `false` at its end.
    fn fill(&mut self) -> std::io::Result<bool> {
        let octets = match self {
            Line::Udp(_) => panic!("UDP is no stream"),
            Line::Piped(pipe, ..) => pipe.read(),
            Line::Tcp(stream, _) => {
                let mut buffer = [0; 65_536];
                let length = stream.read(&mut buffer)?;
                buffer[..length].to_vec()
            }
        };
        self.pending().extend(&octets);
        Ok(!octets.is_empty())
    }

    /// Sends a request with a Via of this line on top and gives back its final response.
    pub(crate) fn request(&mut self, request: &Message) -> Message {
        self.send(&self.with_via(request).octets());
        self.final_response()
    }

    /// The final response to `request` as it stands, or `None` if the connection ends before.
    pub(crate) fn try_request(&mut self, request: &Message) -> Option<Message> {
        match self {
            Line::Udp(_) => {
                self.send(&request.octets());
                Some(self.final_response())
            }
            Line::Tcp(stream, _) => {
                stream.write_all(&request.octets()).ok()?;
                self.try_response()
            }
            Line::Piped(pipe, ..) => {
                pipe.write(&request.octets()).then_some(())?;
                self.try_response()
            }
        }
    }

    /// The next final response, or `None` if the connection ends before.
    pub(crate) fn try_response(&mut self) -> Option<Message> {
        loop {
            let response = self.try_next()?;
            if response.status() >= 200 {
                return Some(response);
            }
        }
    }

    /// The next whole message, or `None` if the connection ends before.
    pub(crate) fn try_next(&mut self) -> Option<Message> {
        if matches!(self, Line::Udp(_)) {
            return Some(self.receive());
        }
        loop {
            if let Some(octets) = take_message(self.pending()) {
                return Some(Message::parse(&octets));
            }
            match self.fill() {
                Ok(true) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing in time"),
                Ok(false) | Err(_) => return None,
            }
        }
    }

    /// Waits until something lies there to be received; `false` if nothing comes for long.
    pub(crate) fn wait_readable(&self) -> bool {
        match self {
            Line::Udp(socket) => socket.peek(&mut [0; 1]).is_ok(),
            Line::Tcp(stream, pending) => !pending.is_empty() || matches!(stream.peek(&mut [0; 1]), Ok(1)),
            Line::Piped(..) => panic!("another program's connection"),
        }
    }

    /// The next response that is not provisional.
    pub(crate) fn final_response(&mut self) -> Message {
        loop {
            let response = self.receive();
            if response.status() >= 200 {
                return response;
            }
        }
    }

    /// Registers `user` as a phone that is reached over this line only, with those header lines.
    pub(crate) fn register(&mut self, user: &str, lines: &[(&str, &str)]) -> Message {
        let transport = self.protocol().to_ascii_lowercase().replace("wss", "ws");
        let contact = format!("<sip:{user}@phone.invalid;transport={transport}>;expires=3600");
        let mut all = vec![("Contact", contact.as_str())];
        all.extend(lines);
        let answer = self.request(&register_request(user, &all));
        assert_eq!(answer.status(), 200, "{answer}");
        answer
    }

    /// The next request over this line, answered 200.
    pub(crate) fn take(&mut self) -> Message {
        let request = self.receive();
        self.send(&request.answer(200, "OK").octets());
        request
    }

    /// `request` with the Vias it has replaced by one of this line, with a branch of its own.
    pub(crate) fn with_via(&self, request: &Message) -> Message {
        let mut out = request.clone().without("Via").without("v");
        let via = format!("SIP/2.0/{} {};branch=z9hG4bKt{};rport", self.protocol(), self.sent_by(), serial());
        out.headers.insert(0, ("Via".to_owned(), via));
        out
    }
}

/// A MESSAGE from `sip:alice@example.org` without a body.
pub(crate) fn message_to(user: &str) -> Message {
    Message::new(&format!("MESSAGE sip:{user}@example.com SIP/2.0"))
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:alice@example.org>;tag=a{}", serial()))
        .with("To", &format!("<sip:{user}@example.com>"))
        .with("Call-ID", &format!("call-{}@sender", serial()))
        .with("CSeq", "1 MESSAGE")
}

/// A REGISTER of that user with those header lines.
fn register_request(user: &str, lines: &[(&str, &str)]) -> Message {
    let request = Message::new("REGISTER sip:example.com SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:{user}@example.com>;tag=r{}", serial()))
        .with("To", &format!("<sip:{user}@example.com>"))
        .with("Call-ID", &format!("reg-{}@phone", serial()))
        .with("CSeq", "1 REGISTER");
    lines.iter().fold(request, |request, (name, value)| request.with(name, value))
}

/// A registered terminal: where requests for its user arrive.
pub(crate) struct Phone {
    pub(crate) user: String,
    port: Port,
    /// The TCP connection or UDP peer that the last request came over.
    line: Option<Line>,
    peer: Option<SocketAddr>,
}

enum Port {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

impl Phone {
    pub(crate) fn udp(user: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { user: user.to_owned(), port: Port::Udp(socket), line: None, peer: None }
    }

    pub(crate) fn tcp(user: &str) -> Self {
        Self::tcp_at(user, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(crate) fn tcp_at(user: &str, at: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        Self { user: user.to_owned(), port: Port::Tcp(listener), line: None, peer: None }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        match &self.port {
            Port::Udp(socket) => socket.local_addr().unwrap(),
            Port::Tcp(listener) => listener.local_addr().unwrap(),
        }
    }

    /// The Contact URI, as the phone registers it.
    pub(crate) fn uri(&self) -> String {
        let transport = if matches!(self.port, Port::Tcp(_)) { ";transport=tcp" } else { "" };
        format!("sip:{}@{}{transport}", self.user, self.addr())
    }

    /// A REGISTER of this phone with those further header lines, `Contact` among them if it is given.
    pub(crate) fn register_request(&self, lines: &[(&str, &str)]) -> Message {
        let request = register_request(&self.user, lines);
        if lines.iter().any(|(name, _)| *name == "Contact") {
            return request;
        }
        request.with("Contact", &format!("<{}>;expires=3600", self.uri()))
    }

    /// Registers with those header lines; the answer must be 200.
    pub(crate) fn register(&self, server: &Server, lines: &[(&str, &str)]) -> Message {
        let answer = Line::tcp(server.sip).request(&self.register_request(lines));
        assert_eq!(answer.status(), 200, "{answer}");
        answer
    }

    /// Registers with the example REGISTER `number`, its Contact's address replaced by this phone's.
    pub(crate) fn register_as(&self, server: &Server, number: &str) -> Message {
        let mut request = super::example(number);
        for (name, value) in &mut request.headers {
            if name == "Contact" {
                *value = value.replace("sip:john@192.0.2.7:5060;transport=tcp", &self.uri());
            }
        }
        let answer = Line::tcp(server.sip).request(&request);
        assert_eq!(answer.status(), 200, "{answer}");
        answer
    }

    /// The next request for this phone, unanswered.
    pub(crate) fn receive(&mut self) -> Message {
        match &self.port {
            Port::Udp(socket) => {
                let mut buffer = vec![0; 65_536];
                let (length, peer) = socket.recv_from(&mut buffer).expect("a request in time");
                self.peer = Some(peer);
                Message::parse(&buffer[..length])
            }
            Port::Tcp(listener) => {
                if self.line.is_none() {
                    self.line = Some(Line::over(accept(listener)));
                }
                self.line.as_mut().unwrap().receive()
            }
        }
    }

    pub(crate) fn respond(&mut self, response: &Message) {
        match (&self.port, self.peer, &mut self.line) {
            (Port::Udp(socket), Some(peer), _) => drop(socket.send_to(&response.octets(), peer).unwrap()),
            (Port::Tcp(_), _, Some(line)) => line.send(&response.octets()),
            _ => panic!("a response before any request"),
        }
    }

    /// Moves this TCP phone's listener to the port of `udp`, as one phone with both transports.
    pub(crate) fn listen_beside(&mut self, udp: &Phone) {
        self.port = Port::Tcp(TcpListener::bind(udp.addr()).expect("the port is free for TCP"));
    }

    /// Waits a moment for something to arrive; whether it did.
    pub(crate) fn wait_readable(&self) -> bool {
        let late = std::time::Instant::now() + PATIENCE / 10;
        while std::time::Instant::now() < late {
            if self.has_more() {
                return true;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        false
    }

    /// The next request, answered 200.
    pub(crate) fn take(&mut self) -> Message {
        let request = self.receive();
        self.respond(&request.answer(200, "OK"));
        request
    }

    /// Whether something has arrived by now that was not received.
    pub(crate) fn has_more(&self) -> bool {
        match &self.port {
            Port::Udp(socket) => {
                socket.set_nonblocking(true).unwrap();
                let more = socket.peek_from(&mut [0; 1]).is_ok();
                socket.set_nonblocking(false).unwrap();
                more
            }
            Port::Tcp(listener) => match &self.line {
                Some(Line::Tcp(stream, pending)) => {
                    stream.set_nonblocking(true).unwrap();
                    let more = !pending.is_empty() || matches!(stream.peek(&mut [0; 1]), Ok(1));
                    stream.set_nonblocking(false).unwrap();
                    more
                }
                _ => waiting(listener),
            },
        }
    }
}

/// Whether a connection waits to be accepted; it is left waiting.
fn waiting(listener: &TcpListener) -> bool {
    let mut fds = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
}

/// Accepts with a limit: std has none, so the wait is in a poll of the listener.
fn accept(listener: &TcpListener) -> TcpStream {
    let late = std::time::Instant::now() + PATIENCE;
    listener.set_nonblocking(true).unwrap();
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(std::time::Instant::now() < late, "no connection in time");
                std::thread::yield_now();
                std::thread::park_timeout(std::time::Duration::from_millis(1));
            }
            Err(e) => panic!("accept: {e}"),
        }
    };
    listener.set_nonblocking(false).unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}
