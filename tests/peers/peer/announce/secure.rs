//! Announcements that nobody else hears: SRTP, TLS, and the URIs that ask for it; and the client of the draft's diagram.

use super::*;
use crate::harness::certificates::Authority;
use crate::peer::tls;

#[expect(dead_code, reason = "an example is a program of its own")]
#[path = "../../../../examples/play_an_attachment.rs"]
mod play_an_attachment;

#[test]
fn a_call_under_srtp_is_heard_and_keys_in_clear_are_refused() {
    let dovecot = Dovecot::start();
    let careful = server(&dovecot, &[]);
    let trusting = server(&dovecot, &["annc.keys_in_clear=true"]);
    for suite in ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"] {
        for protocol in ["RTP/SAVP", "RTP/AVP"] {
            let key = "inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS";
            let medium = PCMU.replace("RTP/AVP", protocol) + &format!("\na=crypto:1 {suite} {key}");
            let params = format!(";play={}", play(&dovecot, 2));
            if protocol == "RTP/SAVP" {
                assert_eq!(refused(&careful, &params, &offer(&[&medium], &[4000])).0, 488);
            }
            let port = pair();
            let mut caller = Caller::new(&trusting, &params, &offer(&[&medium], &[port]));
            let answer = String::from_utf8(caller.invite().body).unwrap();
            let crypto = answer
                .lines()
                .find(|line| line.starts_with("a=crypto:"))
                .unwrap_or_else(|| panic!("{answer}"));
            // FFmpeg takes keys of SAVP alone; ports are what they are in its description.
            let listen = format!("m=audio {port} RTP/SAVP 0\na=rtpmap:0 PCMU/8000\n{crypto}");
            let mut receiver = Receiver::on(vec![port], &[&listen], &["-c:a", "pcm_s16le", "out.wav"]);
            caller.ack("");
            caller.bye();
            heard(&receiver.samples("out.wav"), 8000, 0.02, suite);
        }
    }
}

const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS";

/// What FFmpeg needs to hear a stream under that key.
fn listening(port: u16, crypto: &str) -> Receiver {
    let listen = format!("m=audio {port} RTP/SAVP 0\na=rtpmap:0 PCMU/8000\n{crypto}");
    Receiver::on(vec![port], &[&listen], &["-c:a", "pcm_s16le", "out.wav"])
}

/// The first line of a description that begins so.
fn line_of<'d>(description: &'d str, start: &str) -> &'d str {
    let line = description.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no {start} in {description}"))
}

#[test]
fn a_sips_call_over_tls_is_heard_under_srtp_whoever_offers_and_is_refused_elsewhere() {
    let dovecot = Dovecot::start();
    let authority = Authority::new();
    let imap = format!("annc.allow=[\"imap://localhost:{}\"]", dovecot.port);
    let ports = port_range();
    let settings =
        ["annc.enabled=true", "annc.networks=[\"127.0.0.0/8\"]", "annc.offer_srtp=true", &imap, &ports];
    let (server, at) = tls::secure(&authority.sign("server", "DNS:example.com"), &settings);
    let params = format!(";play={}", play(&dovecot, 2));
    let savp = PCMU.replace("RTP/AVP", "RTP/SAVP") + "\n" + KEY;

    let port = pair();
    let line = tls::line(&authority, at, "example.com");
    let mut caller = Caller::on(line, "sips:annc@example.com", &params, &offer(&[&savp], &[port]));
    let ok = caller.invite();
    assert!(ok.get("Contact").starts_with("<sips:annc@"), "{ok}");
    let answer = String::from_utf8(ok.body.clone()).unwrap();
    let mut receiver = listening(port, line_of(&answer, "a=crypto:"));
    caller.ack("");
    caller.bye();
    heard(&receiver.samples("out.wav"), 8000, 0.02, "offered to us");

    let port = pair();
    let line = tls::line(&authority, at, "example.com");
    let mut caller = Caller::on(line, "sips:annc@example.com", &params, "");
    let ok = caller.invite();
    let offered = String::from_utf8(ok.body.clone()).unwrap();
    assert!(line_of(&offered, "m=audio").contains(" RTP/SAVP 0 "), "{offered}");
    let mut receiver = listening(port, line_of(&offered, "a=crypto:1 "));
    caller.ack(&offer(&[&savp], &[port]));
    caller.bye();
    heard(&receiver.samples("out.wav"), 8000, 0.02, "offered by us");

    let line = Line::udp(server.sip);
    let clear = Caller::on(line, "sips:annc@example.com", &params, &pcmu()).invite();
    assert_eq!(clear.status(), 416, "not over UDP");
}

#[test]
fn a_call_that_moves_on_under_another_key_and_payload_type_is_heard_there() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &["annc.keys_in_clear=true"]);
    let savp = PCMU.replace("RTP/AVP", "RTP/SAVP");
    let held = format!("{}\n{KEY}", savp.replace("recvonly", "inactive"));
    let params = format!(";play={}", play(&dovecot, 2));
    let mut caller = Caller::new(&server, &params, &offer(&[&held], &[4000]));
    let first = String::from_utf8(caller.invite().body).unwrap();
    caller.ack("");
    let port = pair();
    let other = KEY.replace("crypto:1", "crypto:7").replace("_80 inline:C0", "_32 inline:d0");
    let moved = format!("m=audio {port} RTP/SAVP 97\na=rtpmap:97 PCMU/8000\na=recvonly\n{other}");
    // The listener needs our key before we are told to send, and UPDATE tells it without sending.
    let inactive = moved.replace("recvonly", "inactive");
    let answer = caller.ask("UPDATE", &offer(&[&inactive], &[port]));
    let answer = String::from_utf8(answer.body).unwrap();
    let crypto = line_of(&answer, "a=crypto:");
    assert!(crypto.starts_with("a=crypto:7 AES_CM_128_HMAC_SHA1_32 "), "{answer}");
    assert_ne!(crypto.split_once("inline:"), line_of(&first, "a=crypto:").split_once("inline:"));
    let listen = format!("m=audio {port} RTP/SAVP 97\na=rtpmap:97 PCMU/8000\n{crypto}");
    let mut receiver = Receiver::on(vec![port], &[&listen], &["-c:a", "pcm_s16le", "out.wav"]);
    assert_eq!(caller.ask("INVITE", &offer(&[&moved], &[port])).status(), 200);
    caller.bye();
    heard(&receiver.samples("out.wav"), 8000, 0.02, "under the other key");
}

#[test]
fn every_sound_and_video_of_a_mail_comes_under_srtp() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &["annc.keys_in_clear=true"]);
    let arranged = |section: usize, medium: &str, args: &[&str]| {
        let savp = medium.replace("RTP/AVP", "RTP/SAVP");
        let port = pair();
        let offered = offer(&[&format!("{savp}\n{KEY}")], &[port]);
        let mut caller = Caller::new(&server, &format!(";play={}", play(&dovecot, section)), &offered);
        let answer = String::from_utf8(caller.invite().body).unwrap();
        let listen =
            format!("{}\n{}", savp.replace("PORT", &port.to_string()), line_of(&answer, "a=crypto:"));
        let receiver = Receiver::on(vec![port], &[&listen], args);
        caller.ack("");
        caller.bye();
        receiver
    };
    for section in [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] {
        let mut receiver = arranged(section, PCMU, &["-c:a", "pcm_s16le", "out.wav"]);
        heard(&receiver.samples("out.wav"), 8000, 0.02, PARTS[section - 2].0);
    }
    for (section, medium, count) in
        [(7, H264, 75), (9, VP8, 75), (4, MPV, 75), (15, H264_1_3, 45), (16, VP8, 45)]
    {
        let args = ["-fps_mode", "passthrough", "-f", "framecrc", "frames.txt"];
        let mut receiver = arranged(section, medium, &args);
        assert_eq!(frames(&mut receiver), count, "{}", PARTS[section - 2].0);
    }
}

/// The whole of draft-cook-lemonade-streaming §2.5, by the program that shows it.
#[test]
fn a_mail_program_finds_a_part_has_it_authorised_and_plays_it() {
    let dovecot = Dovecot::start();
    let server = server(&dovecot, &[]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.wav");
    let imap = format!("localhost:{}", dovecot.port);
    // As MP3, which is decoded here, and as AMR, which ffmpeg decodes.
    for section in ["3", "14"] {
        let args = [&imap, "alice", "alicepw", "1", section, &server.sip.to_string(), &out.to_string_lossy()];
        play_an_attachment::run(&args.map(str::to_owned)).unwrap();
        let file = std::fs::read(&out).unwrap();
        let octets = file.len() - 46;
        assert!(octets.abs_diff(24_000) <= 160, "{octets} octets of PCMU");
        let pcm =
            Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&out).args(["-f", "s16le", "-"]).output();
        let pcm = pcm.unwrap().stdout;
        let samples: Vec<i16> =
            pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        heard(&samples, 8000, 0.02, section);
    }
}
