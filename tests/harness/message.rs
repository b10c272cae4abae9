//! A SIP message as a test sees it: a start line, header lines in order, a body.

/// A message read or to be sent. Header lines are unfolded; names keep their spelling.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn new(start: &str) -> Self {
        Self { start: start.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// Reads one whole message; what follows its head is its body.
    pub(crate) fn parse(octets: &[u8]) -> Self {
        let end = head_end(octets).expect("a message has an empty line after its head");
        let head = String::from_utf8_lossy(&octets[..end]).replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let start = lines.next().expect("a start line").to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header line has a colon");
                (name.trim().to_owned(), value.trim().to_owned())
            })
            .collect();
        Self { start, headers, body: octets[end..].to_vec() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The message with every `name` line replaced by one of that value.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.with(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.set("Content-Type", content_type)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The value of a header that must be there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in\n{self}"))
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The reason phrase of a response.
    pub(crate) fn reason(&self) -> &str {
        self.start.splitn(3, ' ').nth(2).unwrap()
    }

    pub(crate) fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("not a response: {self}"))
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap()
    }

    pub(crate) fn request_uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap()
    }

    /// The octets to send, with a Content-Length that is right.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start).into_bytes();
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("content-length") {
                out.extend(format!("{name}: {value}\r\n").bytes());
            }
        }
        out.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).bytes());
        out.extend(&self.body);
        out
    }

    /// The answer `status` to this request, as RFC 3261 §8.2.6 says.
    pub(crate) fn answer(&self, status: u16, reason: &str) -> Self {
        let mut answer = Self::new(&format!("SIP/2.0 {status} {reason}"));
        for (name, value) in &self.headers {
            match name.to_ascii_lowercase().as_str() {
                "via" | "v" | "from" | "f" | "call-id" | "i" | "cseq" => answer = answer.with(name, value),
                "to" | "t" if value.contains("tag=") => answer = answer.with(name, value),
                "to" | "t" => answer = answer.with(name, &format!("{value};tag=phone")),
                _ => {}
            }
        }
        answer
    }
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.start)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(
            f,
            "[{} octets: {:?}]",
            self.body.len(),
            String::from_utf8_lossy(&self.body[..self.body.len().min(400)])
        )
    }
}

/// Where the body begins.
pub(crate) fn head_end(octets: &[u8]) -> Option<usize> {
    octets.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// The octets of the first whole message of a stream, if it is there.
pub(crate) fn take_message(stream: &mut Vec<u8>) -> Option<Vec<u8>> {
    while stream.starts_with(b"\r\n") {
        stream.drain(..2);
    }
    let head = head_end(stream)?;
    let text = String::from_utf8_lossy(&stream[..head]).to_ascii_lowercase();
    let length: usize = text
        .split("\r\n")
        .find_map(|line| line.strip_prefix("content-length:").or_else(|| line.strip_prefix("l:")))
        .map_or(0, |value| value.trim().parse().expect("Content-Length is a number"));
    (stream.len() >= head + length).then(|| stream.drain(..head + length).collect())
}
