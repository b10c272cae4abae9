//! `bespoke adapt FILE --accept ..`: one body adapted outside SIP.

use std::path::{Path, PathBuf};

use adapter::{Entity, Field, Method};
use bytes::Bytes;

use super::Failure;
use super::message_file::read_file;

#[derive(clap::Args, Debug)]
pub(super) struct AdaptArgs {
    /// A picture, a text, or any other body
    file: PathBuf,
    /// What the terminal can show, as in `image/jpeg;media-pix-x=max+160;length=max+4096`
    #[arg(long, value_name = "ACCEPT")]
    accept: Option<String>,
    /// Codings and the whole body's limit, as in `identity;length=max+32768`
    #[arg(long, value_name = "ACCEPT-ENCODING")]
    accept_encoding: Option<String>,
    /// Charsets of texts, as in `utf-8, iso-8859-1;q=0.5`
    #[arg(long, value_name = "ACCEPT-CHARSET")]
    accept_charset: Option<String>,
    /// What FILE is; unset, its first octets and its name tell
    #[arg(long = "type", value_name = "TYPE/SUBTYPE")]
    media_type: Option<String>,
    /// Where the result goes; nothing is written without it
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Say what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &AdaptArgs) -> Result<(), Failure> {
    let body = read_file(&args.file)?;
    let media_type = args.media_type.clone().unwrap_or_else(|| guess_type(&args.file, &body));
    let before = body.len();
    let entity = Entity { fields: vec![Field::new("Content-Type", media_type.clone().into_bytes())], body };
    let mut settings = adapter::Settings::new("localhost");
    settings.method = Method::Http;
    settings.implied = &[];
    // Only clips need to know whether there is an ffmpeg.
    if ["audio/", "video/", "application/ogg"].iter().any(|kind| media_type.starts_with(kind)) {
        settings.converters = crate::app::media::Media::find(&crate::config::Config::default()).converters();
    }
    let single = adapter::adapt_one(&entity, &terminal(args), &settings, &|| false)?;
    if let Some(path) = &args.output {
        std::fs::write(path, &single.body).map_err(|error| Failure::file(path, error.to_string()))?;
    }
    if args.json {
        super::print_json(&single);
        return Ok(());
    }
    let pixels = match (single.width, single.height) {
        (Some(width), Some(height)) => format!(", {width}x{height} pixels"),
        _ => String::new(),
    };
    let ops = if single.ops.is_empty() { "nothing to do".to_owned() } else { single.ops.join(", ") };
    let (after, octets) = (&single.media_type, single.octets);
    super::say(&format!("{media_type}, {before} octets -> {after}, {octets} octets{pixels}: {ops}"));
    if args.output.is_none() {
        super::say("(kept nowhere: -o OUT writes it)");
    }
    Ok(())
}

fn terminal(args: &AdaptArgs) -> cpi::Cpi {
    let headers = [
        ("Accept", &args.accept),
        ("Accept-Encoding", &args.accept_encoding),
        ("Accept-Charset", &args.accept_charset),
    ];
    let fields =
        headers.iter().filter_map(|(name, value)| Some((name.as_bytes(), value.as_ref()?.as_bytes())));
    cpi::decode::from_headers(fields, &cpi::Extensions::NONE).0
}

/// The type that the first octets show, else the one the name suggests.
fn guess_type(path: &Path, body: &Bytes) -> String {
    if let Ok(probe) = adapter::image::probe(body) {
        return probe.kind.media_type().to_owned();
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let known = match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "txt" => "text/plain",
        "smil" | "smi" => "application/smil",
        "xml" => "application/xml",
        "amr" => "audio/amr",
        "wav" => "audio/wav",
        "au" | "snd" => "audio/basic",
        "mp3" => "audio/mpeg",
        "aac" => "audio/aac",
        "m4a" => "audio/mp4",
        "ogg" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        "3gp" => "video/3gpp",
        "webm" => "video/webm",
        "mpg" | "mpeg" => "video/mpeg",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    known.to_owned()
}
