//! More comes than can be done: what is beyond gets its 503, memory stays flat, and then all is well again.

use std::net::UdpSocket;

use crate::harness::{Line, Phone, Server, eventually, phone};

const AT_ONCE: usize = 200;

/// Sends so many messages to john, who is silent, and gives how many were refused for now.
fn flood(server: &Server, messages: usize) -> usize {
    const TOGETHER: usize = 100;
    let mut line = Line::tcp(server.sip);
    let mut refused = 0;
    let mut waiting = 0;
    for _ in 0..messages / TOGETHER {
        for _ in 0..TOGETHER {
            let message = phone::message_to("john").body("text/plain", &[b'x'; 800]);
            line.send(&line.with_via(&message).octets());
        }
        waiting += TOGETHER;
        // Those that are on their road have no answer for long; what is beyond has one at once.
        while waiting > AT_ONCE {
            let answer = line.final_response();
            assert_eq!(answer.status(), 503, "{answer}");
            assert!(answer.get("Retry-After").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer}");
            refused += 1;
            waiting -= 1;
        }
    }
    refused
}

#[test]
fn beyond_what_can_be_done_requests_get_503_and_memory_stays_flat() {
    let server = Server::with(&[&*format!("overload.requests={AT_ONCE}"), "log.level=warn"]);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut jane = Phone::tcp("jane");
    jane.register(&server, &[]);
    let contact = format!("<sip:john@{}>", silent.local_addr().unwrap());
    let gone = Phone::udp("john").register_request(&[("Contact", &contact)]);
    assert_eq!(Line::tcp(server.sip).request(&gone).status(), 200);

    let first = flood(&server, 3_000);
    let (after_first, _) = server.memory_kib();
    let second = flood(&server, 10_000);
    let (_, most) = server.memory_kib();
    assert!(first >= 3_000 - AT_ONCE && second >= 10_000 - AT_ONCE, "{first} and {second} refused");
    assert!(most < after_first + 16 * 1024, "it grew by {} KiB", most - after_first);

    // Once the system says that nobody is there, what waited for him ends, and there is room for others.
    drop(silent);
    let mut sender = Line::tcp(server.sip);
    eventually("messages pass again", || {
        let message = phone::message_to("jane").body("text/plain", b"again");
        sender.send(&sender.with_via(&message).octets());
        let passes = jane.wait_readable();
        if passes {
            jane.take();
        }
        sender.final_response().status() == 200 && passes
    });
}
