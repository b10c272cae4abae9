//! Calls between SIPp and SIPp through the server: set up, held, cancelled, ended.

use std::net::SocketAddr;

use crate::harness::phone::Line;
use crate::harness::server::free_port;
use crate::harness::sipp::{Sipp, run};
use crate::harness::{Message, Server};

const TRANSPORTS: [(&str, &str); 2] = [("udp", "u1"), ("tcp", "t1")];

/// Registers john at that port.
fn register(server: &Server, transport: &str, port: &str) {
    let contact = format!("<sip:john@127.0.0.1:{port};transport={transport}>;expires=3600");
    let request = Message::new("REGISTER sip:example.com SIP/2.0")
        .with("Max-Forwards", "70")
        .with("From", "<sip:john@example.com>;tag=r")
        .with("To", "<sip:john@example.com>")
        .with("Call-ID", &format!("calls-{port}"))
        .with("CSeq", "1 REGISTER")
        .with("Contact", &contact);
    let answer = Line::udp(server.sip).request(&request);
    assert_eq!(answer.status(), 200, "{answer}");
}

/// A phone of john that takes one call and must be content with it.
fn phone(server: &Server, transport: &str, mode: &str, scenario: &str) -> Sipp {
    let port = free_port().port().to_string();
    let args = ["-p", &port, "-t", mode, "-m", "1", "-timeout", "30s", "-timeout_error"];
    let phone = Sipp::start(scenario, &args, &[]);
    register(server, transport, &port);
    phone
}

#[test]
fn sipps_own_caller_and_phone_set_up_and_end_their_calls_through_us() {
    for (transport, mode) in TRANSPORTS {
        let server = Server::start();
        let port = free_port().port().to_string();
        let _phone = Sipp::built_in("uas", &["-p", &port, "-t", mode]);
        register(&server, transport, &port);
        let target = server.sip.to_string();
        let args = [&*target, "-s", "john", "-t", mode, "-m", "20", "-r", "20", "-d", "50"];
        let limits = ["-timeout", "30s", "-timeout_error"];
        Sipp::built_in("uac", &[&args[..], &limits[..]].concat()).succeed();
    }
}

#[test]
fn a_caller_on_tcp_and_a_phone_on_udp_talk_through_us_and_the_other_way_round() {
    for ((_, mode), (transport, phones)) in [(TRANSPORTS[0], TRANSPORTS[1]), (TRANSPORTS[1], TRANSPORTS[0])] {
        let server = Server::start();
        let phone = phone(&server, transport, phones, "phone_dialog.xml");
        call(server.sip, "call_dialog.xml", mode);
        phone.succeed();
    }
}

#[test]
fn a_call_is_changed_and_ended_along_the_route_we_recorded() {
    for (transport, mode) in TRANSPORTS {
        let server = Server::start();
        let phone = phone(&server, transport, mode, "phone_dialog.xml");
        call(server.sip, "call_dialog.xml", mode);
        phone.succeed();
    }
}

#[test]
fn a_call_that_is_given_up_stops_ringing() {
    for (transport, mode) in TRANSPORTS {
        let server = Server::start();
        let phone = phone(&server, transport, mode, "phone_cancelled.xml");
        call(server.sip, "call_cancelled.xml", mode);
        phone.succeed();
    }
}

fn call(server: SocketAddr, scenario: &str, mode: &str) {
    run(server, scenario, &["-t", mode], &[]);
}
