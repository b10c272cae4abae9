//! FFmpeg as the phone that hears and sees what is sent to it.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::eventually;
use super::server::free_port;

/// A receiver of one session, from its description until its BYE.
pub(crate) struct Receiver {
    child: Child,
    dir: tempfile::TempDir,
    /// The first port of each medium.
    pub(crate) ports: Vec<u16>,
}

impl Receiver {
    /// Starts one for these media, each its `m=` line with `PORT` in it and the lines below it; writes to `out`, with
    /// those arguments.
    pub(crate) fn start(media: &[&str], args: &[&str]) -> Self {
        Self::on(media.iter().map(|_| pair()).collect(), media, args)
    }

    /// The same on ports that were chosen already.
    pub(crate) fn on(ports: Vec<u16>, media: &[&str], args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=annc\nc=IN IP4 127.0.0.1\nt=0 0\n".to_owned();
        for (medium, port) in media.iter().zip(&ports) {
            sdp.push_str(&medium.replace("PORT", &port.to_string()));
            sdp.push('\n');
        }
        std::fs::write(dir.path().join("in.sdp"), sdp).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("ffmpeg")
            .current_dir(dir.path())
            .args(["-nostdin", "-y", "-loglevel", "info", "-protocol_whitelist", "file,udp,rtp"])
            .args(["-reorder_queue_size", "0", "-i", "in.sdp"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("ffmpeg runs (Debian's package ffmpeg)");
        let receiver = Self { child, dir, ports };
        eventually("ffmpeg's ports", || receiver.ports.iter().all(|port| !is_free(*port)));
        receiver
    }

    /// Waits until it has ended, because the stream said good-bye, and gives a file it wrote.
    pub(crate) fn file(&mut self, name: &str) -> Vec<u8> {
        let child = &mut self.child;
        eventually("the end of ffmpeg", || child.try_wait().unwrap().is_some());
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.log()))
    }

    /// The samples of a WAV of 16 bits that it wrote.
    pub(crate) fn samples(&mut self, name: &str) -> Vec<i16> {
        let file = self.file(name);
        let start = file.windows(4).position(|at| at == b"data").expect("a data chunk") + 8;
        file[start..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- ffmpeg\n{}---", self.log());
        }
    }
}

/// An even port that is free, and the next one too.
pub(crate) fn pair() -> u16 {
    loop {
        let port = free_port().port() & !1;
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_ok()
}

/// The share of a sound's energy that is at 440 Hz, found by correlation with that tone (Goertzel).
pub(crate) fn share_of_440(samples: &[i16], rate: u32) -> f64 {
    let step = std::f64::consts::TAU * 440.0 / f64::from(rate);
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let (value, phase) = (f64::from(*sample), step * at as f64);
        sine += value * phase.sin();
        cosine += value * phase.cos();
        energy += value * value;
    }
    (sine * sine + cosine * cosine) * 2.0 / (samples.len() as f64 * energy.max(1.0))
}
