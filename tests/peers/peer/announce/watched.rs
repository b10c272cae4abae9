//! What Wireshark says of the streams that a phone gets.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use super::*;

/// What is sent behind the last packet of a stream.
const END: &[u8] = b"behind the last packet";

/// A capture of what goes to a port on the loopback, and to the one above it.
struct Capture {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Capture {
    fn start(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("capture.pcap");
        let child = Command::new("tshark")
            .args(["-q", "-i", "lo", "-f", &format!("udp dst portrange {port}-{}", port + 1), "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .expect("tshark runs as root (Debian's package tshark)");
        let log = dir.path().join("log");
        eventually("tshark", || std::fs::read_to_string(&log).unwrap_or_default().contains("Capturing on"));
        eventually("the capture", || file.metadata().is_ok_and(|file| file.len() > 0));
        Self { child, port, dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("capture.pcap")
    }

    /// The line of the one RTP stream there was, which must have lost nothing and had no problem.
    fn flawless_stream(self, what: &str) -> String {
        let marking = UdpSocket::bind("127.0.0.1:0").unwrap();
        marking.send_to(END, ("127.0.0.1", self.port + 1)).unwrap();
        let is_end = |octets: Vec<u8>| octets.windows(END.len()).any(|window| window == END);
        eventually("the last packet", || std::fs::read(self.file()).is_ok_and(is_end));
        let output = Command::new("tshark")
            .args(["-q", "-d", &format!("udp.port=={},rtp", self.port), "-z", "rtp,streams", "-r"])
            .arg(self.file())
            .output()
            .unwrap();
        let streams = String::from_utf8(output.stdout).unwrap();
        let of_port: Vec<&str> =
            streams.lines().filter(|line| line.contains(&format!(" {} ", self.port))).collect();
        let [stream] = of_port[..] else { panic!("{what}: {streams}") };
        assert!(stream.contains(" 0 (0.0%)"), "{what}: {streams}");
        assert!(!stream.trim_end().ends_with('X'), "{what}, a problem: {streams}");
        stream.to_owned()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn wireshark_sees_no_loss_and_no_problem_in_any_sound() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    for section in [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] {
        let mut receiver = Receiver::start(&[PCMU], &["-c:a", "pcm_s16le", "out.wav"]);
        let capture = Capture::start(receiver.ports[0]);
        call(&server, &play(&dovecot, section), &[PCMU], &receiver.ports);
        receiver.file("out.wav");
        let stream = capture.flawless_stream(PARTS[section - 2].0);
        assert!(stream.contains("g711U"), "{stream}");
        // As it is, decoded in process, decoded by FFmpeg: 3 s to the packet.
        assert!(![2, 12, 14].contains(&section) || stream.contains(" 150 "), "{stream}");
    }
}

#[test]
fn wireshark_sees_no_loss_and_no_problem_in_what_passes_as_it_is_nor_in_any_video() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let sound = &["-c:a", "pcm_s16le", "out.wav"][..];
    let video = &["-fps_mode", "passthrough", "-f", "framecrc", "frames.txt"][..];
    for (section, medium, args) in [
        (3, MPA, sound),
        (8, OPUS, sound),
        (14, AMR, sound),
        (7, H264, video),
        (9, VP8, video),
        (4, MPV, video),
        (15, H264_1_3, video),
        (16, VP8, video),
    ] {
        let mut receiver = Receiver::start(&[medium], args);
        let capture = Capture::start(receiver.ports[0]);
        call(&server, &play(&dovecot, section), &[medium], &receiver.ports);
        receiver.file(args.last().unwrap());
        capture.flawless_stream(PARTS[section - 2].0);
    }
}
