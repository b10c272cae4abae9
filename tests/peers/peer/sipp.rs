//! SIPp registers, sends and receives; its scenarios check what arrives.

use crate::harness::server::free_port;
use crate::harness::sipp::{Sipp, run};
use crate::harness::{self, Server, http};

/// Registers john at a SIPp phone that runs `scenario`, over UDP or TCP.
fn phone(server: &Server, transport: &str, scenario: &str, accept: &str) -> Sipp {
    let port = free_port().port().to_string();
    let mode = if transport == "tcp" { "t1" } else { "u1" };
    let phone = Sipp::start(
        scenario,
        &["-p", &port, "-t", mode, "-m", "1", "-timeout", "20s", "-timeout_error"],
        &[],
    );
    let users = format!("SEQUENTIAL\njohn;{port};\n");
    let scenario = if transport == "tcp" { "register_tcp.xml" } else { "register_udp.xml" };
    run(
        server.sip,
        scenario,
        &["-t", mode, "-inf", "john.csv", "-key", "accept", accept],
        &[("john.csv", users.as_bytes())],
    );
    phone
}

fn send(server: &Server, transport: &str, photo: &[u8]) {
    let mode = if transport == "tcp" { "t1" } else { "u1" };
    run(
        server.sip,
        "send_photo.xml",
        &["-t", mode, "-inf", "to.csv"],
        &[("to.csv", b"SEQUENTIAL\njohn;\n"), ("photo.jpg", photo)],
    );
}

/// The 640x480 JPEG of 40,130 octets inside example 029: SIPp's buffer ends at 64 KiB.
fn photo() -> Vec<u8> {
    let body = harness::example("029").body;
    let start = body.windows(3).position(|w| w == [0xff, 0xd8, 0xff]).unwrap();
    body[start..start + 40_130].to_vec()
}

#[test]
fn a_photo_sent_by_sipp_over_tcp_arrives_fitted_at_a_sipp_phone() {
    let server = Server::start();
    let phone = phone(
        &server,
        "tcp",
        "phone_fitted.xml",
        "image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+9999",
    );
    send(&server, "tcp", &photo());
    phone.succeed();
}

#[test]
fn a_photo_sent_by_sipp_over_udp_arrives_fitted_at_a_sipp_phone_on_tcp() {
    let server = Server::start();
    let phone = phone(
        &server,
        "tcp",
        "phone_fitted.xml",
        "image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+9999",
    );
    send(&server, "udp", &photo());
    phone.succeed();
}

#[test]
fn a_photo_for_a_sipp_phone_without_tcp_arrives_as_a_link() {
    let server = Server::start();
    let phone = phone(&server, "udp", "phone_link.xml", "text/plain, message/external-body, image/jpeg");
    send(&server, "udp", &photo());
    phone.succeed();
}

/// Text that no datagram may carry goes to the phone over TCP although its contact says nothing of it.
#[test]
fn long_text_finds_the_tcp_of_a_phone_that_registered_over_udp() {
    let server = Server::start();
    let port = free_port().port().to_string();
    let limits = ["-p", &port, "-m", "1", "-timeout", "20s", "-timeout_error"];
    let _udp = Sipp::start("phone_text.xml", &[&limits[..], &["-t", "u1"]].concat(), &[]);
    let tcp = Sipp::start("phone_long.xml", &[&limits[..], &["-t", "t1"]].concat(), &[]);
    register_john(&server, &port);
    send_long(&server, "send_long.xml");
    tcp.succeed();
}

#[test]
fn long_text_for_a_sipp_phone_without_tcp_is_a_link_and_without_a_store_513() {
    for (settings, scenario) in
        [(&[][..], "send_long.xml"), (&["content.store=off"][..], "send_long_refused.xml")]
    {
        let server = Server::with(settings);
        let port = free_port().port().to_string();
        let _phone = Sipp::start("phone_text.xml", &["-p", &port, "-t", "u1"], &[]);
        register_john(&server, &port);
        send_long(&server, scenario);
    }
}

fn register_john(server: &Server, port: &str) {
    let users = format!("SEQUENTIAL\njohn;{port};\n");
    let args = ["-t", "u1", "-inf", "john.csv", "-key", "accept", "text/plain"];
    run(server.sip, "register_udp.xml", &args, &[("john.csv", users.as_bytes())]);
}

fn send_long(server: &Server, scenario: &str) {
    run(server.sip, scenario, &["-t", "t1", "-inf", "to.csv"], &[("to.csv", b"SEQUENTIAL\njohn;\n")]);
}

#[test]
fn a_thousand_sipp_registrations_and_messages_pass_without_a_failed_call() {
    let server = Server::start();
    for (transport, mode) in [("udp", "u1"), ("tcp", "t1")] {
        let port = free_port().port().to_string();
        let _phone = Sipp::start("phone_text.xml", &["-p", &port, "-t", mode], &[]);
        let mut users = "SEQUENTIAL\n".to_owned();
        for user in 0..1_000 {
            users.push_str(&format!("{transport}{user};{port};\n"));
        }
        let inf = ("users.csv", users.as_bytes());
        let load = |scenario: &str, extra: &[&str]| {
            let target = server.sip.to_string();
            let mut args = vec![
                target.as_str(),
                "-t",
                mode,
                "-m",
                "1000",
                "-r",
                "1000",
                "-l",
                "50",
                "-inf",
                "users.csv",
                "-timeout",
                "60s",
            ];
            args.extend(extra);
            Sipp::start(scenario, &args, &[inf]).succeed();
        };
        load(&format!("register_{transport}.xml"), &["-key", "accept", "text/plain, image/jpeg"]);
        load("send_text.xml", &[]);
    }
    let metrics = http::fetch(server.admin, "GET", "/metrics", &[]);
    assert_eq!(metrics.status(), 200);
    assert!(String::from_utf8_lossy(&metrics.body).contains("bespoke_"), "{metrics}");
}
