//! Announcements end to end: a mail part in Dovecot, a call by SIPp or by hand, FFmpeg as the phone's ears and eyes.

mod children;
mod secure;
mod watched;

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use crate::harness::dovecot::{Dovecot, PARTS};
use crate::harness::phone::serial;
use crate::harness::receiver::{Receiver, pair, share_of_440};
use crate::harness::{Line, Message, Server, eventually, sipp};

const PCMU: &str = "m=audio PORT RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=recvonly";
const PCMA: &str = "m=audio PORT RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=recvonly";
const G722: &str = "m=audio PORT RTP/AVP 9\na=rtpmap:9 G722/8000\na=recvonly";
const MPA: &str = "m=audio PORT RTP/AVP 14\na=rtpmap:14 MPA/90000\na=recvonly";
const OPUS: &str = "m=audio PORT RTP/AVP 96\na=rtpmap:96 opus/48000/2\na=recvonly";
const AMR: &str = "m=audio PORT RTP/AVP 97\na=rtpmap:97 AMR/8000/1\na=fmtp:97 octet-align=1\na=recvonly";
const H264: &str =
    "m=video PORT RTP/AVP 99\na=rtpmap:99 H264/90000\na=fmtp:99 packetization-mode=1\na=recvonly";
const VP8: &str = "m=video PORT RTP/AVP 100\na=rtpmap:100 VP8/90000\na=recvonly";
/// The level that 352x288 takes; whole slices only.
const H264_1_3: &str =
    "m=video PORT RTP/AVP 99\na=rtpmap:99 H264/90000\na=fmtp:99 profile-level-id=42e00d\na=recvonly";
const MPV: &str = "m=video PORT RTP/AVP 32\na=rtpmap:32 MPV/90000\na=recvonly";

/// A server that may ask that mail server for what is for everybody.
fn server(dovecot: &Dovecot, further: &[&str]) -> Server {
    let imap = format!("annc.allow=[\"imap://localhost:{}\"]", dovecot.port);
    started(&[&[imap.as_str()], further].concat())
}

fn started(further: &[&str]) -> Server {
    let ports = port_range();
    // The ffmpeg of the search path, which other tests do without, and time for it, whatever else the machine does.
    let mut settings = vec!["annc.enabled=true", "media.ffmpeg=", "annc.effort=\"60s\"", ports.as_str()];
    settings.push("annc.networks=[\"127.0.0.0/8\"]");
    settings.extend(further);
    Server::with(&settings)
}

/// A hundred ports, far from those that others of this process are given.
fn port_range() -> String {
    let first = 40_000 + u16::try_from(serial() % 200).unwrap() * 100;
    format!("annc.ports={first}-{}", first + 99)
}

fn offer(media: &[&str], ports: &[u16]) -> String {
    let mut offer =
        "v=0\r\no=alice 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n".to_owned();
    for (medium, port) in media.iter().zip(ports) {
        offer.push_str(&medium.replace("PORT", &port.to_string()).replace('\n', "\r\n"));
        offer.push_str("\r\n");
    }
    offer
}

/// Has SIPp place a call for what is played with these media, and wait for the BYE.
fn call(server: &Server, play: &str, media: &[&str], ports: &[u16]) {
    let offer = offer(media, ports);
    sipp::run(server.sip, "announce.xml", &["-key", "play", play], &[("offer.sdp", offer.as_bytes())]);
}

/// The URL of a part with its type and encoding beside it, as the draft writes it: not escaped.
fn play(dovecot: &Dovecot, section: usize) -> String {
    let kind = PARTS[section - 2].1;
    format!("{};content-type={kind};content-transfer-encoding=base64", dovecot.url(section, "anonymous"))
}

/// The whole clip of 3 s, give or take a packet, and nothing but its tone.
fn heard(samples: &[i16], rate: u32, packet: f64, what: &str) {
    let expected = f64::from(rate) * 3.0;
    let off = (samples.len() as f64 - expected).abs() / f64::from(rate);
    assert!(off <= packet + 0.001, "{what}: {} samples, {off} s off", samples.len());
    let share = share_of_440(samples, rate);
    assert!(share > 0.9, "{what}: {share} of it at 440 Hz");
}

#[test]
fn every_sound_of_a_mail_is_heard_as_pcmu() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    for section in [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] {
        let mut receiver = Receiver::start(&[PCMU], &["-c:a", "pcm_s16le", "out.wav"]);
        call(&server, &play(&dovecot, section), &[PCMU], &receiver.ports);
        heard(&receiver.samples("out.wav"), 8000, 0.02, PARTS[section - 2].0);
    }
    let log = server.log();
    assert!(!log.contains("internal:") && !log.contains("urlauth"), "a token is in the log:\n{log}");
}

#[test]
fn a_sound_is_heard_in_every_codec_that_is_made() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let play = play(&dovecot, 11);
    for (medium, rate) in [(PCMA, 8000), (G722, 16_000)] {
        let mut receiver = Receiver::start(&[medium], &["-c:a", "pcm_s16le", "out.wav"]);
        call(&server, &play, &[medium], &receiver.ports);
        heard(&receiver.samples("out.wav"), rate, 0.02, medium);
    }
}

#[test]
fn what_the_phone_plays_itself_passes_as_it_is() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    // Frames of MPEG audio pass whole: what the encoder put before the first and behind the last stays.
    for (section, medium, rate, packet) in
        [(3, MPA, 44_100, 0.035), (8, OPUS, 48_000, 0.02), (14, AMR, 8000, 0.12)]
    {
        let mut receiver = Receiver::start(&[medium], &["-ac", "1", "-c:a", "pcm_s16le", "out.wav"]);
        call(&server, &play(&dovecot, section), &[medium], &receiver.ports);
        heard(&receiver.samples("out.wav"), rate, packet, PARTS[section - 2].0);
    }
}

/// Pictures that FFmpeg decoded, by its own count.
fn frames(receiver: &mut Receiver) -> usize {
    let list = String::from_utf8(receiver.file("frames.txt")).unwrap();
    list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
}

#[test]
fn every_picture_of_every_video_arrives() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    for (section, medium) in [(7, H264), (9, VP8), (4, MPV)] {
        let mut receiver =
            Receiver::start(&[medium], &["-fps_mode", "passthrough", "-f", "framecrc", "frames.txt"]);
        call(&server, &play(&dovecot, section), &[medium], &receiver.ports);
        assert_eq!(frames(&mut receiver), 75, "{}\n{}", PARTS[section - 2].0, receiver.log());
    }
}

#[test]
fn a_video_and_its_sound_are_two_streams_of_one_call() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let media = [PCMU, H264];
    let args =
        ["-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc", "frames.txt", "-map", "0:a", "out.wav"];
    let mut receiver = Receiver::start(&media, &args);
    call(&server, &play(&dovecot, 7), &media, &receiver.ports);
    assert_eq!(frames(&mut receiver), 75, "{}", receiver.log());
    heard(&receiver.samples("out.wav"), 8000, 0.06, "clip.mp4");
}

#[test]
fn a_video_that_the_phone_does_not_play_is_made_into_one_that_it_does() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    for (section, medium, count) in [
        (7, VP8, 75),
        (7, MPV, 75),
        (9, H264_1_3, 75),
        (9, MPV, 75),
        (4, H264_1_3, 75),
        (4, VP8, 75),
        (15, H264_1_3, 45),
        (16, VP8, 45),
    ] {
        let mut receiver =
            Receiver::start(&[medium], &["-fps_mode", "passthrough", "-f", "framecrc", "frames.txt"]);
        call(&server, &play(&dovecot, section), &[medium], &receiver.ports);
        let name = PARTS[section - 2].0;
        assert_eq!(frames(&mut receiver), count, "{name} as {medium}\n{}", receiver.log());
    }
}

#[test]
fn a_phone_that_knows_opus_alone_hears_what_is_none() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let mut receiver = Receiver::start(&[OPUS], &["-ac", "1", "-c:a", "pcm_s16le", "out.wav"]);
    call(&server, &play(&dovecot, 11), &[OPUS], &receiver.ports);
    heard(&receiver.samples("out.wav"), 48_000, 0.02, "Opus");
}

#[test]
fn without_ffmpeg_what_is_not_decoded_here_is_415_and_the_log_says_so() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &["media.ffmpeg=\"off\""]);
    eventually("the log line", || server.log().contains("no ffmpeg for announcements"));
    for section in [4, 14, 15, 16] {
        let outcome = refused(&server, &format!(";play={}", play(&dovecot, section)), &pcmu());
        // What passes as it is may be played to another phone.
        let expected = if [4, 14].contains(&section) { 488 } else { 415 };
        assert_eq!(outcome.0, expected, "{}", PARTS[section - 2].0);
    }
}

#[test]
fn what_takes_too_long_to_decode_is_503_and_a_caller_who_gives_up_leaves_no_child() {
    let dovecot = Dovecot::start();
    let hasty = server(&dovecot, &["annc.effort=\"1ms\""]);
    let params = format!(";play={}", play(&dovecot, 14));
    assert_eq!(refused(&hasty, &params, &pcmu()), (503, "Service Unavailable".to_owned()));
    eventually("no child is left", || hasty.children().is_empty());
}

/// A call by hand.
struct Caller {
    line: Line,
    invite: Message,
    ok: Option<Message>,
    cseq: u32,
}

impl Caller {
    fn new(server: &Server, params: &str, body: &str) -> Self {
        Self::on(Line::udp(server.sip), &format!("sip:annc@{}", server.sip), params, body)
    }

    /// A call of that URI over a line that is open already.
    fn on(line: Line, uri: &str, params: &str, body: &str) -> Self {
        let here = line.sent_by();
        let scheme = uri.split(':').next().unwrap();
        let invite = Message::new(&format!("INVITE {uri}{params} SIP/2.0"))
            .with("Max-Forwards", "70")
            .with("From", &format!("<{scheme}:alice@{here}>;tag=a{}", serial()))
            .with("To", &format!("<{uri}>"))
            .with("Call-ID", &format!("annc-{}@phone", serial()))
            .with("CSeq", "1 INVITE")
            .with("Contact", &format!("<{scheme}:alice@{here}>"));
        let invite = if body.is_empty() { invite } else { invite.body("application/sdp", body.as_bytes()) };
        Self { line, invite, ok: None, cseq: 1 }
    }

    fn invite(&mut self) -> Message {
        let invite = self.invite.clone();
        let answer = self.line.request(&invite);
        if answer.status() == 200 {
            self.ok = Some(answer.clone());
        }
        answer
    }

    fn within(&mut self, method: &str, number: u32, body: &str) -> Message {
        let ok = self.ok.as_ref().unwrap();
        let target = ok.get("Contact").trim_matches(['<', '>']).to_owned();
        let request = Message::new(&format!("{method} {target} SIP/2.0"))
            .with("Max-Forwards", "70")
            .with("From", self.invite.get("From"))
            .with("To", ok.get("To"))
            .with("Call-ID", self.invite.get("Call-ID"))
            .with("CSeq", &format!("{number} {method}"))
            .with("Contact", self.invite.get("Contact"));
        if body.is_empty() { request } else { request.body("application/sdp", body.as_bytes()) }
    }

    fn ack(&mut self, body: &str) {
        let ack = self.within("ACK", self.cseq, body);
        let ack = self.line.with_via(&ack).octets();
        self.line.send(&ack);
    }

    /// A request within the call, and its answer; a re-INVITE is acknowledged.
    fn ask(&mut self, method: &str, body: &str) -> Message {
        self.cseq += 1;
        let request = self.within(method, self.cseq, body);
        let answer = self.line.request(&request);
        if method == "INVITE" && answer.status() == 200 {
            self.ack("");
        }
        answer
    }

    /// Waits for the server's BYE and answers it.
    fn bye(&mut self) {
        loop {
            let request = self.line.receive();
            if request.method() == "BYE" {
                return self.line.send(&request.answer(200, "OK").octets());
            }
        }
    }
}

fn refused(server: &Server, params: &str, body: &str) -> (u16, String) {
    let answer = Caller::new(server, params, body).invite();
    (answer.status(), answer.reason().to_owned())
}

fn pcmu() -> String {
    offer(&[PCMU], &[pair()])
}

const NOT_FOUND: &str = "Announcement content not found";
const NOT_RETRIEVED: &str = "Announcement content could not be retrieved";

#[test]
fn urls_that_the_mail_server_refuses_are_answered_404() {
    let mut dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let good = dovecot.url(2, "anonymous");
    let last = if good.ends_with('0') { '1' } else { '0' };
    let tampered = format!("{}{last}", &good[..good.len() - 1]);
    // The server authorises none that has expired already; of one that says so now it looks at that first.
    let expired = good.replace("expire=2099", "expire=2020");
    let answer = Caller::new(&server, &format!(";play={expired}"), &pcmu()).invite();
    assert!(answer.get("Warning").contains("has expired"), "{answer}");
    let missing = dovecot.url(99, "anonymous");
    let of_nobody = good.replace("alice@", "carol@");
    for url in [tampered, expired, missing, of_nobody] {
        let outcome = refused(&server, &format!(";play={url}"), &pcmu());
        assert_eq!(outcome, (404, NOT_FOUND.to_owned()), "{url}");
    }
    for access in ["authuser", "stream", "user+mediasrv"] {
        let url = dovecot.url(2, access);
        let outcome = refused(&server, &format!(";play={url}"), &pcmu());
        assert_eq!(outcome, (404, "Not authorized to access resource".to_owned()), "{access}");
    }
    dovecot.stop();
    assert_eq!(refused(&server, &format!(";play={good}"), &pcmu()), (404, NOT_RETRIEVED.to_owned()));
}

#[test]
fn with_a_name_of_its_own_the_server_fetches_what_is_for_users_and_for_streaming() {
    let dovecot = Dovecot::start();
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "mediapw\n").unwrap();
    let table = |in_clear: bool| {
        format!(
            "annc.imap=[{{host=\"localhost\", port={}, tls=\"off\", user=\"mediasrv\", password_file=\"{}\", in_clear={in_clear}}}]",
            dovecot.port,
            password.display()
        )
    };
    let clear = started(&[&table(true)]);
    for access in ["stream", "authuser", "anonymous", "user+mediasrv"] {
        let mut receiver = Receiver::start(&[PCMU], &["-c:a", "pcm_s16le", "out.wav"]);
        call(&clear, &dovecot.url(2, access), &[PCMU], &receiver.ports);
        heard(&receiver.samples("out.wav"), 8000, 0.02, access);
    }
    let other = dovecot.url(2, "user+bob");
    let outcome = refused(&clear, &format!(";play={other}"), &pcmu());
    assert_eq!(outcome, (404, "Not authorized to access resource".to_owned()));
    let careful = started(&[&table(false)]);
    let answer = Caller::new(&careful, &format!(";play={}", dovecot.url(2, "stream")), &pcmu()).invite();
    assert_eq!((answer.status(), answer.reason()), (404, NOT_RETRIEVED));
    assert!(answer.get("Warning").contains("in clear"), "{answer}");
}

/// A mail server that takes every login, and answers URLFETCH with that.
fn fake(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let capabilities = "CAPABILITY IMAP4rev1 SASL-IR AUTH=ANONYMOUS URLAUTH URLAUTH=BINARY";
            stream.write_all(format!("* OK [{capabilities}] hi\r\n").as_bytes()).unwrap();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let command = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let tag = command.split(' ').next().unwrap().to_owned();
                let reply = match command.contains("URLFETCH") {
                    true => [answer, tag.as_bytes(), b" OK done\r\n"].concat(),
                    false => format!("{tag} OK [{capabilities}] in\r\n").into_bytes(),
                };
                let _ = stream.write_all(&reply);
            }
        }
    });
    port
}

#[test]
fn mail_servers_that_lie_are_survived() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let quiet = silent.local_addr().unwrap().port();
    let huge = fake(b"* URLFETCH u {2147483648}\r\n");
    let absurd = fake(b"* URLFETCH u (BINARY ~{18446744073709476815}\r\n");
    let open = fake(b"* URLFETCH u {0}\r\n");
    let list = [quiet, huge, absurd, open].map(|port| format!("\"imap://127.0.0.1:{port}\"")).join(",");
    let server = started(&[&format!("annc.allow=[{list}]"), "annc.deadline=\"1s\"", "annc.failed=400"]);
    let outcome = |port: u16| {
        let url =
            format!("imap://alice@127.0.0.1:{port}/INBOX/;uid=1/;section=2;urlauth=anonymous:internal:1");
        refused(&server, &format!(";play={url}"), &pcmu())
    };
    for port in [quiet, huge, absurd] {
        assert_eq!(outcome(port), (400, NOT_RETRIEVED.to_owned()));
    }
    assert_eq!(outcome(open), (404, NOT_FOUND.to_owned()));
}

#[test]
fn what_cannot_be_played_and_what_is_no_order_is_told_apart() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let (url, picture) = (play(&dovecot, 2), play(&dovecot, 5));
    assert_eq!(refused(&server, "", &pcmu()), (400, "Mandatory play parameter missing".to_owned()));
    assert_eq!(refused(&server, ";play=http://127.0.0.1:1/a", &pcmu()).0, 404);
    assert_eq!(refused(&server, &format!(";play={url};repeat=often"), &pcmu()).0, 400);
    assert_eq!(refused(&server, &format!(";play={picture}"), &pcmu()).0, 415);
    assert_eq!(
        refused(&server, &format!(";play={url}"), &offer(&["m=audio PORT RTP/AVP 3"], &[4000])).0,
        488
    );
    assert_eq!(refused(&server, &format!(";play={url}"), "hello").0, 400);
    let mut wrong = Caller::new(&server, &format!(";play={url}"), &pcmu());
    wrong.invite = wrong.invite.set("Content-Type", "text/plain");
    assert_eq!(wrong.invite().status(), 415);
    let mut required = Caller::new(&server, &format!(";play={url}"), &pcmu());
    required.invite = required.invite.with("Require", "timer, foo");
    let answer = required.invite();
    assert_eq!((answer.status(), answer.get("Unsupported")), (420, "foo"));
}

#[test]
fn as_many_calls_are_taken_as_may_be() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &["annc.calls=1"]);
    let params = format!(";play={};repeat=forever", play(&dovecot, 2));
    let mut first = Caller::new(&server, &params, &pcmu());
    assert_eq!(first.invite().status(), 200);
    first.ack("");
    assert_eq!(refused(&server, &params, &pcmu()).0, 486);
    assert_eq!(first.ask("BYE", "").status(), 200);
    eventually("the call's end", || Caller::new(&server, &params, &pcmu()).invite().status() == 200);
}

#[test]
fn a_call_without_an_offer_is_offered_what_there_is_and_answered_in_the_ack() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let mut caller = Caller::new(&server, &format!(";play={}", play(&dovecot, 2)), "");
    let ok = caller.invite();
    let offered = String::from_utf8(ok.body.clone()).unwrap();
    assert!(offered.contains("RTP/AVP 0 8 9 96 14\r\n") && offered.contains("a=sendonly"), "{offered}");
    let mut receiver = Receiver::start(&[PCMU], &["-c:a", "pcm_s16le", "out.wav"]);
    caller.ack(&offer(&[PCMU], &receiver.ports));
    caller.bye();
    heard(&receiver.samples("out.wav"), 8000, 0.02, "a delayed offer");
}

#[test]
fn a_call_is_held_goes_on_and_is_ended() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let port = phone.local_addr().unwrap().port();
    let plays = || phone.recv(&mut [0; 500]).is_ok();
    let with = |direction: &str| offer(&[PCMU], &[port]).replace("recvonly", direction);
    let params = format!(";play={};repeat=forever", play(&dovecot, 2));
    let mut caller = Caller::new(&server, &params, &with("sendrecv"));
    let ok = caller.invite();
    assert!(String::from_utf8(ok.body.clone()).unwrap().contains("a=sendonly"), "{ok}");
    assert!(!plays(), "nothing before the ACK");
    caller.ack("");
    assert!(plays());
    let held = caller.ask("INVITE", &with("sendonly"));
    assert!(String::from_utf8(held.body.clone()).unwrap().contains("a=inactive"), "{held}");
    eventually("silence", || !plays());
    assert_eq!(caller.ask("INVITE", &with("recvonly")).status(), 200);
    assert!(plays());
    assert_eq!(caller.ask("UPDATE", "").status(), 200);
    assert_eq!(caller.ask("OPTIONS", "").status(), 200);
    assert_eq!(caller.ask("INFO", "").status(), 200);
    assert_eq!(caller.ask("BYE", "").status(), 200);
    eventually("silence", || !plays());
    assert_eq!(caller.ask("BYE", "").status(), 481);
}

#[test]
fn the_200_to_a_new_invite_is_sent_again_until_it_is_acknowledged() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let port = pair();
    let params = format!(";play={};repeat=forever", play(&dovecot, 2));
    let mut caller = Caller::new(&server, &params, &offer(&[PCMU], &[port]));
    caller.invite();
    caller.ack("");
    caller.cseq += 1;
    let again = caller.within("INVITE", caller.cseq, &offer(&[PCMU], &[port]));
    let first = caller.line.request(&again);
    assert_eq!(first.status(), 200);
    let second = caller.line.final_response();
    assert_eq!((second.status(), second.get("CSeq")), (200, "2 INVITE"));
    caller.ack("");
    assert_eq!(caller.ask("BYE", "").status(), 200);
}

#[test]
fn a_call_that_is_cancelled_while_it_is_fetched_is_over() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    let server = started(&[&format!("annc.allow=[\"imap://{place}\"]")]);
    let url = format!("imap://a@{place}/INBOX/;uid=1;urlauth=anonymous:internal:1");
    let mut caller = Caller::new(&server, &format!(";play={url}"), &pcmu());
    let invite = caller.line.with_via(&caller.invite);
    caller.line.send(&invite.octets());
    let _kept = silent.accept().unwrap();
    let cancel = Message { start: invite.start.replace("INVITE", "CANCEL"), body: Vec::new(), ..invite };
    let cancel = cancel.set("CSeq", "1 CANCEL").without("Content-Type").without("Contact");
    caller.line.send(&cancel.octets());
    let statuses = [caller.line.final_response().status(), caller.line.final_response().status()];
    assert!(statuses.contains(&200) && statuses.contains(&487), "{statuses:?}");
}
