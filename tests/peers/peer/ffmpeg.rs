//! Sound and video with the ffmpeg that is installed, over the road: what a phone gets, checked by ffprobe.

use std::net::TcpListener;
use std::process::Command;

use crate::harness::picture::{Picture, picture};
use crate::harness::{Line, Message, Phone, Server, data, eventually, phone};

/// A server that has time, whatever else the machine does.
fn server(further: &[&str]) -> Server {
    Server::with(&[&["media.ffmpeg=", "adapt.deadline=20s", "media.cpu=20s"], further].concat())
}

/// What a phone that said so gets of a body.
fn sent(server: &Server, accept: &str, kind: &str, body: &[u8]) -> Message {
    let mut phone = Phone::tcp("john");
    phone.register(server, &[("Accept", accept)]);
    let mut sender = Line::tcp(server.sip);
    let message = phone::message_to("john").body(kind, body);
    sender.send(&sender.with_via(&message).octets());
    let received = phone.take();
    assert_eq!(sender.final_response().status(), 200);
    received
}

fn clip(name: &str) -> Vec<u8> {
    data(&format!("media/{name}"))
}

/// What ffprobe says of a body, as `key=value` lines of its streams and its length.
fn probed(body: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, body).unwrap();
    let shown = "stream=codec_name,sample_rate,channels,width,height,avg_frame_rate:format=duration";
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", shown, "-of", "default=noprint_wrappers=1"])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

fn value<'a>(probed: &'a str, key: &str) -> &'a str {
    probed
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {key}: {probed}"))
}

/// When the last picture is shown, in seconds: a WebM that left through a pipe does not say how long it is.
fn last_picture(body: &[u8]) -> f64 {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, body).unwrap();
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-select_streams",
        "v",
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
    ]);
    let said = String::from_utf8(command.arg(file.path()).output().unwrap().stdout).unwrap();
    let times = said.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    times.fold(0.0, f64::max)
}

fn seconds(probed: &str) -> f64 {
    value(probed, "duration").parse().unwrap()
}

#[test]
fn a_wav_becomes_what_the_phone_hears() {
    let server = server(&[]);
    let wav = clip("tone_pcm16.wav");
    let basic = sent(&server, "audio/basic", "audio/x-wav", &wav);
    assert_eq!((basic.get("Content-Type"), basic.body.len()), ("audio/basic", 24_000));
    assert!(basic.get("Content-Adapted").contains("ops=\"transcode\";type=\"audio/x-wav\""), "{basic}");

    let mp3 = sent(&server, "audio/mpeg;length=max+9000", "audio/x-wav", &wav);
    assert!(mp3.body.len() <= 9000);
    let probe = probed(&mp3.body);
    assert_eq!(value(&probe, "codec_name"), "mp3");
    assert!((2.9..3.3).contains(&seconds(&probe)), "{probe}");

    for (accept, codec) in [("audio/aac", "aac"), ("audio/ogg", "opus")] {
        let made = sent(&server, accept, "audio/x-wav", &wav);
        assert_eq!(value(&probed(&made.body), "codec_name"), codec);
    }
    assert!(server.metric("bespoke_media_conversions_total{to=\"audio/mpeg\",result=\"made\"}") >= 1);
}

#[test]
fn bare_samples_are_in_network_order_with_their_rate_beside() {
    let server = server(&[]);
    let wav = clip("tone_pcm16.wav");
    let bare = sent(&server, "audio/L16", "audio/x-wav", &wav);
    assert_eq!(bare.get("Content-Type"), "audio/L16;rate=16000;channels=1");
    let swapped: Vec<u8> = wav[wav.len() - 96_000..].chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    assert!(bare.body == swapped);
}

#[test]
fn amr_becomes_what_others_hear() {
    let server = server(&[]);
    let amr = [&b"#!AMR\n"[..], &clip("tone.amrraw")].concat();
    let basic = sent(&server, "audio/basic", "audio/amr", &amr);
    assert_eq!(basic.get("Content-Type"), "audio/basic");
    assert!((23_500..25_000).contains(&basic.body.len()), "{}", basic.body.len());
    let mp3 = sent(&server, "audio/mpeg", "audio/amr", &amr);
    assert_eq!(value(&probed(&mp3.body), "codec_name"), "mp3");
}

/// Debian's ffmpeg reads AMR and can't write it; another build may.
#[test]
fn a_phone_that_hears_amr_alone_gets_it_if_ffmpeg_writes_it_and_else_a_link() {
    let server = server(&[]);
    let out = Command::new("ffmpeg").args(["-hide_banner", "-encoders"]).output().unwrap();
    let writes = String::from_utf8_lossy(&out.stdout).contains("libopencore_amrnb");
    let got = sent(&server, "text/plain, audio/amr", "audio/x-wav", &clip("tone_pcm16.wav"));
    if writes {
        assert!(got.body.starts_with(b"#!AMR\n"));
    } else {
        assert!(got.get("Content-Type").starts_with("text/plain"), "{got}");
        assert!(String::from_utf8_lossy(&got.body).contains("/c/"), "{got}");
    }
}

#[test]
fn extensions_say_what_rate_and_how_many_channels() {
    let server = server(&["cpi.extensions=[\"audio-rate\", \"audio-channels\", \"frame-rate\"]"]);
    let mp3 = clip("tone.mp3");
    let accept = "audio/mpeg;audio-rate=max+16000;audio-channels=1";
    let made = sent(&server, accept, "audio/mpeg", &mp3);
    let probe = probed(&made.body);
    assert_eq!((value(&probe, "sample_rate"), value(&probe, "channels")), ("16000", "1"));
    let kept = sent(&server, "audio/mpeg;audio-rate=max+44100;audio-channels=max+2", "audio/mpeg", &mp3);
    assert!(kept.body == mp3, "it is within all limits");
    let wav = sent(&server, "audio/wav;audio-rate=max+11025", "audio/mpeg", &mp3);
    assert_eq!(value(&probed(&wav.body), "sample_rate"), "11025");
}

#[test]
fn a_video_becomes_a_still_for_a_phone_that_shows_pictures() {
    let server = server(&[]);
    for (name, kind) in [("clip.mp4", "video/mp4"), ("clip.webm", "video/webm"), ("clip.mpg", "video/mpeg")] {
        let accept = "text/plain, image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+6000";
        let still = sent(&server, accept, kind, &clip(name));
        assert_eq!(picture(&still.body), Picture { kind: "image/jpeg", width: 146, height: 120 }, "{name}");
        assert!(still.body.len() <= 6000);
        assert!(still.get("Content-Adapted").contains("ops=\"transcode,scale\""), "{still}");
    }
}

#[test]
fn a_video_becomes_a_smaller_one() {
    let server = server(&["cpi.extensions=[\"frame-rate\"]"]);
    let accept = "video/mp4;media-pix-x=max+176;media-pix-y=max+144;frame-rate=max+10;length=max+40000";
    let small = sent(&server, accept, "video/mp4", &clip("clip.mp4"));
    assert!(small.body.len() <= 40_000);
    let probe = probed(&small.body);
    assert_eq!((value(&probe, "width"), value(&probe, "height")), ("176", "144"), "{probe}");
    assert!((2.8..3.3).contains(&seconds(&probe)), "{probe}");
    let kept =
        sent(&server, "video/mp4;media-pix-x=max+352;media-pix-y=max+288", "video/mp4", &clip("clip.mp4"));
    assert!(kept.body == clip("clip.mp4"));
}

#[test]
fn a_video_becomes_one_of_another_kind() {
    let server = server(&[]);
    let octets = 60_000;
    for (kind, from, codec) in [
        ("video/3gpp", "clip.mp4", "mpeg4"),
        ("video/webm", "clip.mp4", "vp8"),
        ("video/webm", "clip.avi", "vp8"),
        ("video/mp4", "clip.avi", "h264"),
        ("video/mp4", "clip.3gp", "h264"),
    ] {
        let accept = format!("{kind};media-pix-x=max+176;media-pix-y=max+144;length=max+{octets}");
        let source = match from {
            "clip.avi" => "video/x-msvideo",
            "clip.3gp" => "video/3gpp",
            _ => "video/mp4",
        };
        let made = sent(&server, &accept, source, &clip(from));
        assert_eq!(made.get("Content-Type"), kind, "{from}: {made}");
        assert!(made.body.len() <= octets, "{from} as {kind}");
        let probe = probed(&made.body);
        assert_eq!(
            (value(&probe, "width"), value(&probe, "height")),
            ("176", "144"),
            "{from} as {kind}: {probe}"
        );
        assert!(probe.contains(&format!("codec_name={codec}\n")), "{from} as {kind}: {probe}");
        let last = last_picture(&made.body);
        assert!((2.7..3.1).contains(&last), "{from} as {kind}: {last} s");
    }
}

/// What sends a decoder elsewhere is let near no demuxer that follows it; the message comes as a link.
#[test]
fn playlists_reach_no_file_and_no_host() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let url = format!("http://{}/segment.ts", host.local_addr().unwrap());
    let server = server(&[]);
    let playlists = [
        format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n{url}\n#EXT-X-ENDLIST\n"),
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nconcat:/etc/passwd|/etc/hostname\n#EXT-X-ENDLIST\n"
            .to_owned(),
        format!("ffconcat version 1.0\nfile {url}\nfile /etc/passwd\n"),
        format!("<?xml version=\"1.0\"?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>"),
        format!("[playlist]\nFile1={url}\n"),
    ];
    for playlist in &playlists {
        for kind in ["video/mp4", "audio/mpeg", "video/mpeg", "audio/ogg", "video/x-msvideo", "audio/amr"] {
            let got = sent(&server, "text/plain, image/jpeg, audio/basic", kind, playlist.as_bytes());
            assert!(String::from_utf8_lossy(&got.body).contains("/c/"), "{kind}: {got}");
        }
    }
    assert!(host.accept().is_err(), "somebody came for {url}");
    assert!(!server.log().contains("system call"), "{}", server.log());
}

/// A video made by ffmpeg from its own test pictures.
fn made(size: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::with_suffix(".avi").unwrap();
    let source = format!("color=size={size}:rate=2:duration=1");
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &source])
        .args(["-c:v", "mjpeg"])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    std::fs::read(file.path()).unwrap()
}

#[test]
fn a_picture_of_more_pixels_than_are_decoded_is_a_link() {
    let server = server(&["media.pixels=100000", "limits.body=8MiB"]);
    let accept = "text/plain, image/jpeg;media-pix-x=max+160";
    let got = sent(&server, accept, "video/mp4", &clip("clip.mp4"));
    assert!(String::from_utf8_lossy(&got.body).contains("/c/"), "{got}");
    // One that says it is small is held to it by ffmpeg.
    let mut liar = made("2048x2048");
    let head = liar.windows(4).position(|octets| octets == b"avih").unwrap() + 8;
    liar[head + 32..head + 40].copy_from_slice(&[64, 0, 0, 0, 64, 0, 0, 0]);
    let got = sent(&server, accept, "video/x-msvideo", &liar);
    assert!(String::from_utf8_lossy(&got.body).contains("/c/"), "{got}");
    let small = sent(&server, accept, "video/x-msvideo", &made("320x240"));
    assert_eq!(picture(&small.body), Picture { kind: "image/jpeg", width: 160, height: 120 });
}

/// The ffmpeg that is installed, in the cage of the built program.
fn caged(cpu: u64) -> media::Ffmpeg {
    let launcher = media::Launcher {
        program: env!("CARGO_BIN_EXE_bespoke").into(),
        arguments: vec!["sandbox-exec".into()],
    };
    let cage = media::Cage { cpu, ..media::Cage::default() };
    media::Ffmpeg::find(None, launcher, media::Bounds { cage, ..media::Bounds::default() }).unwrap()
}

/// Starts what never ends: the first pictures again and again.
fn endless(ffmpeg: &media::Ffmpeg) -> media::Running {
    let source = media::Source::new(clip("clip.mp4").into(), "video/mp4").unwrap();
    let output = ["-map", "0:v:0", "-an", "-vf", "loop=loop=-1:size=25", "-f", "rawvideo"];
    ffmpeg.start(&source, &output.map(str::to_owned)).unwrap()
}

#[test]
fn a_run_that_never_ends_ends_with_its_octets_its_caller_or_its_time() {
    let ffmpeg = caged(1);
    let much = endless(&ffmpeg).collect(1 << 20, &|| false);
    assert!(matches!(much, Err(media::RunError::TooMuch)), "{much:?}");

    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) > 20;
    let stopped = endless(&ffmpeg).collect(usize::MAX, &stop);
    assert!(matches!(stopped, Err(media::RunError::Stopped)), "{stopped:?}");

    let mut running = endless(&ffmpeg);
    let mut octets = Vec::new();
    let exhausted = loop {
        octets.clear();
        match running.read(&mut octets, &|| false) {
            Ok(0) => panic!("it ended by itself"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(exhausted, media::RunError::Exhausted), "{exhausted:?}");

    let dropped = endless(&ffmpeg);
    drop(dropped);
    eventually("no child is left", || !children(std::process::id()).contains(&"ffmpeg".to_owned()));
}

/// Names of processes that `parent` started.
fn children(parent: u32) -> Vec<String> {
    let out = Command::new("ps").args(["-o", "comm=", "--ppid", &parent.to_string()]).output().unwrap();
    String::from_utf8_lossy(&out.stdout).split_whitespace().map(str::to_owned).collect()
}

/// The demuxer is forced, so that octets of another kind are an error and no detour.
#[test]
fn a_clip_is_read_as_what_it_is_said_to_be_or_not_at_all() {
    let ffmpeg = caged(10);
    let playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    let source = media::Source::new(playlist.to_vec().into(), "video/mp2t").unwrap();
    let made = ffmpeg.make(&source, &media::Recipe::Still, 1 << 20, &|| false);
    assert!(matches!(made, Err(media::RunError::Failed(_))), "{made:?}");
    assert!(media::Source::new(playlist.to_vec().into(), "application/vnd.apple.mpegurl").is_none());
}

#[test]
fn sound_of_a_child_comes_block_by_block_and_ends_with_who_listens() {
    let ffmpeg = caged(10);
    let amr = [&b"#!AMR\n"[..], &clip("tone.amrraw")].concat();
    let source = media::Source::new(amr.into(), "audio/amr").unwrap();
    let mut heard = 0;
    let mut pcm = ffmpeg.decode(&source, 8000, 1, std::sync::Arc::new(|| false)).unwrap();
    while let Some(block) = pcm.block().unwrap() {
        heard += block.len();
    }
    assert_eq!(heard, 150 * 160);
    let mut given_up = ffmpeg.decode(&source, 8000, 1, std::sync::Arc::new(|| true)).unwrap();
    assert_eq!(given_up.block().err(), Some(media::DecodeError::Stopped));
}

#[test]
fn without_ffmpeg_sound_is_turned_in_process_and_video_is_a_link() {
    for setting in ["media.ffmpeg=off", "media.ffmpeg=/bin/true", "media.ffmpeg=/nowhere/ffmpeg"] {
        let server = Server::with(&[setting, "adapt.deadline=20s"]);
        let video = sent(&server, "text/plain, image/jpeg", "video/mp4", &clip("clip.mp4"));
        assert!(String::from_utf8_lossy(&video.body).contains("/c/"), "{setting}: {video}");
        let sound = sent(&server, "audio/basic", "audio/mpeg", &clip("tone.mp3"));
        assert!((23_500..24_800).contains(&sound.body.len()), "{setting}");
        let says = server.log().contains("video and AMR become links");
        assert_eq!(says, setting.contains("nowhere"), "{setting}: {}", server.log());
    }
}
