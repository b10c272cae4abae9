//! Transforms pictures as the server does, one job a line, and says what CPU each took.
//!
//! A first line `{"name": ..}`; then for each JSON job on stdin
//! `{"in": path, "w": 640, "h": 480, "type": "image/jpeg", "q": 80 | "octets": 16384, "repeat": 3, "out": path or ""}`
//! a line `{"cpu_us": median CPU time of the process for one job, "octets": n, "encodes": n, "quality": n}` or
//! `{"error": ..}`. Nothing is kept
//! from one job to the next.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Duration;

use adapter::image::{Guards, Image, Kind, Spec, probe, transform};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct Job {
    #[serde(rename = "in")]
    input: String,
    w: u32,
    h: u32,
    #[serde(rename = "type")]
    media_type: String,
    q: Option<u8>,
    octets: Option<u64>,
    #[serde(default = "once")]
    repeat: usize,
    #[serde(default)]
    out: String,
}

const fn once() -> usize {
    1
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Done { cpu_us: u64, octets: usize, encodes: u32, quality: Option<u8> },
    Failed { error: String },
}

fn main() -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::json!({ "name": concat!("bespoke ", env!("CARGO_PKG_VERSION")) }))?;
    out.flush()?;
    for line in stdin().lock().lines() {
        let answer = run(&line?).unwrap_or_else(|error| Answer::Failed { error });
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

fn run(line: &str) -> Result<Answer, String> {
    let job: Job = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let file = std::fs::read(&job.input).map_err(|error| format!("{}: {error}", job.input))?;
    let mut times = Vec::new();
    let mut made = None;
    for _ in 0..job.repeat.clamp(1, 1000) {
        let start = cpu();
        made = Some(transformed(&job, &file)?);
        times.push(cpu().saturating_sub(start));
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let made = made.ok_or("nothing was made")?;
    if !job.out.is_empty() {
        std::fs::write(&job.out, &made.bytes).map_err(|error| format!("{}: {error}", job.out))?;
    }
    Ok(Answer::Done {
        cpu_us: u64::try_from(median.as_micros()).unwrap_or(u64::MAX),
        octets: made.bytes.len(),
        encodes: made.work.encodes,
        quality: made.quality,
    })
}

fn transformed(job: &Job, file: &[u8]) -> Result<Image, String> {
    let head = probe(file).map_err(|error| error.to_string())?;
    let kind = Kind::of_type(&job.media_type).ok_or("an unknown type")?;
    let (width, height) = fit((head.width, head.height), (job.w, job.h));
    let spec = Spec { octets: job.octets, ..Spec::new(kind, width, height) };
    let spec = Spec { quality: job.q.unwrap_or(spec.quality), ..spec };
    transform(file, &spec, &Guards::default(), &|| false).map_err(|error| error.to_string())
}

/// The largest size within `most` that keeps the aspect, never larger than it is.
fn fit(size: (u32, u32), most: (u32, u32)) -> (u32, u32) {
    let scale = |size: u32, most: u32| f64::from(most) / f64::from(size.max(1));
    let scale = scale(size.0, most.0).min(scale(size.1, most.1)).min(1.0);
    let of = |size: u32| ((f64::from(size) * scale).round() as u32).max(1);
    (of(size.0), of(size.1))
}

/// CPU time this process has used.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
