//! `bespoke demo`: the whole story on one screen. A server in this process on free ports, two simulated
//! phones with different limits, one photo sent to both, and what each of them got; then the same photo as
//! somebody's presence, and what her watchers see.

mod link;
mod phone;
mod presence;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use adapter::{Entity, Field};
use bytes::Bytes;

use super::table::{entity, labelled};
use super::{Failure, say};
use crate::app;
use crate::config::Config;
use phone::{Phone, Received};

/// 12 megapixels; author and licence in `src/assets/README.md`.
const PHOTO: &[u8] = include_bytes!("../../assets/photo.jpg");

/// A phone of 2003: a small screen, and little memory for one picture.
const OLD_PHONE: &str = "text/plain, image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+16384";
/// A phone that wants no picture in a message, only the way to it.
const LINK_PHONE: &str = "text/plain, message/external-body, image/jpeg;length=max+0";
/// What the second phone says when it opens the link.
const LINK_FETCH: &str = "image/jpeg;media-pix-x=max+320;media-pix-y=max+240";

/// A watcher with a small screen, and one who takes no pictures in a NOTIFY.
const SMALL_WATCHER: &str = "application/pidf+xml, multipart/related, image/jpeg;media-pix-x=max+64;media-pix-y=max+64;length=max+4096";
const PLAIN_WATCHER: &str = "application/pidf+xml";

/// How long requests in progress may take once the story is told.
const DRAIN: Duration = Duration::from_secs(1);

#[derive(clap::Args, Debug)]
pub(super) struct DemoArgs {
    /// Keep the pictures in this folder
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let folder = Folder::new()?;
    let config = config(&folder.path)?;
    let _log = app::log::start(crate::config::Level::Error);
    let runtime = app::runtime()?;
    let server = runtime.block_on(app::start(config.clone()))?;
    let told = Story { server: &server, config: &config, output: args.output.as_deref() }.tell();
    runtime.block_on(server.drain(DRAIN));
    told
}

/// The embedded default on ports that are free, with state that goes with the program.
fn config(folder: &Path) -> Result<Config, Failure> {
    let settings = [
        "sip.listen=tcp:127.0.0.1:0".to_owned(),
        "http.listen=127.0.0.1:0".to_owned(),
        "admin.listen=127.0.0.1:0".to_owned(),
        // A slow machine takes its time and still tells the story.
        "adapt.deadline=60s".to_owned(),
        "presence.body=4MiB".to_owned(),
        format!("data_dir={}", folder.display()),
    ];
    Ok(crate::config::load(None, &settings)?)
}

struct Story<'a> {
    server: &'a app::Running,
    config: &'a Config,
    output: Option<&'a Path>,
}

impl Story<'_> {
    fn tell(&self) -> Result<(), Failure> {
        let server = self.server.sip_tcp().ok_or(Failure::Demo("the server has no TCP socket".to_owned()))?;
        say(&format!("A Bespoke server on {server}, two phones, and this photo for both:"));
        say(&format!("  {}", shown("image/jpeg", PHOTO)));
        self.keep("photo.jpg", PHOTO)?;

        let (old, took) = self.send_to("john", OLD_PHONE)?;
        say(&format!("\nJohn's phone is of 2003. It got, {:.1} s later:", took.as_secs_f32()));
        say(&format!("  {}", shown(&old.content_type, &old.body)));
        self.tell_reasons(OLD_PHONE, &old);
        self.keep("john.jpg", &old.body)?;

        let (link, _) = self.send_to("mary", LINK_PHONE)?;
        say("\nMary's phone wants pictures by reference only. It got:");
        say(&format!("  {}", entity(&link.content_type, link.body.len() as u64, None)));
        self.tell_reasons(LINK_PHONE, &link);
        let url =
            link.link().ok_or_else(|| Failure::Demo(format!("no link came, but {}", link.content_type)))?;
        let fetched = link::get(&url, LINK_FETCH)?;
        say("It opens the link and says how large its screen is:");
        say(&format!("  GET {url}"));
        say(&format!("  Accept: {LINK_FETCH}"));
        say(&format!("  -> {}", shown(&fetched.content_type, &fetched.body)));
        self.keep("mary.jpg", &fetched.body)?;

        self.tell_presence(server)?;

        match self.output {
            Some(folder) => say(&format!("\nThe pictures are in {}.", folder.display())),
            None => say(
                "\n`bespoke demo -o DIR` keeps the pictures; `bespoke` runs a server to try with your own.",
            ),
        }
        Ok(())
    }

    /// Publishes the photo as Ann's presence, and shows what is told to two who watch her.
    fn tell_presence(&self, server: std::net::SocketAddr) -> Result<(), Failure> {
        presence::publish(server, "ann", "At the lake", PHOTO)?;
        let john = presence::watch(server, "john", "ann", SMALL_WATCHER)?;
        say(&format!("\nAnn publishes the photo and \"{}\" as her presence. John watches her:", john.note));
        let Some((kind, picture)) = john.picture else {
            return Err(Failure::Demo("no picture came with the presence document".to_owned()));
        };
        say(&format!("  {}", shown(&kind, &picture)));
        say(labelled("says", &format!("Accept: {SMALL_WATCHER}")).trim_end());
        self.keep("john-presence.jpg", &picture)?;
        let mary = presence::watch(server, "mary", "ann", PLAIN_WATCHER)?;
        say("Mary's terminal takes the document alone, which shows the photo from here:");
        say(&format!("  {}", mary.link));
        Ok(())
    }

    /// Registers a phone, sends it the photo, and waits for both to be through.
    fn send_to(&self, user: &str, accept: &str) -> Result<(Received, Duration), Failure> {
        let server = self.server.sip_tcp().ok_or(Failure::Demo("the server has no TCP socket".to_owned()))?;
        let phone = Phone::register(server, user, accept)?;
        let started = Instant::now();
        let received = phone.send_photo(server, PHOTO)?;
        Ok((received, started.elapsed()))
    }

    /// What the phone said, what the server did and why, in the planner's own words.
    fn tell_reasons(&self, accept: &str, received: &Received) {
        say(labelled("says", &format!("Accept: {accept}")).trim_end());
        let fields = vec![Field::new("Content-Type", "image/jpeg")];
        let photo = Entity { fields, body: Bytes::from_static(PHOTO) };
        let head = [(&b"Accept"[..], accept.as_bytes())];
        let (terminal, _) = cpi::decode::from_headers(head, &cpi::Extensions::NONE);
        let settings = app::settings::adapter_with_links(self.config, &adapter::Converters::default());
        let plan = adapter::plan(&photo, Some(&terminal), &settings, adapter::Budget::default());
        for part in &plan.report().parts {
            say(labelled("why", &part.why).trim_end());
        }
        if let Some(note) = &received.content_adapted {
            say(labelled("told", &format!("Content-Adapted: {note}")).trim_end());
        }
    }

    fn keep(&self, name: &str, octets: &[u8]) -> Result<(), Failure> {
        let Some(folder) = self.output else { return Ok(()) };
        let path = folder.join(name);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, octets));
        written.map_err(|error| Failure::file(&path, error.to_string()))
    }
}

/// `image/jpeg, 90x120, 5,211 octets`: the pixels are read from the octets.
fn shown(content_type: &str, octets: &[u8]) -> String {
    let pixels = adapter::image::probe(octets).ok().map(|probe| [probe.width, probe.height]);
    entity(content_type, octets.len() as u64, pixels)
}

/// A folder that goes away with the demo.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("bespoke-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| Failure::file(&path, error.to_string()))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is a few kilobytes in the folder for temporary files.
        let _left_behind = std::fs::remove_dir_all(&self.path);
    }
}
