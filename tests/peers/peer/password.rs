//! SIPp with passwords. It knows MD5 alone, and takes `auth-int` where that is offered.

use crate::harness::Server;
use crate::harness::server::free_port;
use crate::harness::sipp::{Sipp, run};

fn a_phone_registers_and_gets_a_message(mode: &str) {
    let server = Server::with(&["auth.mode=digest", "auth.algorithms=[\"MD5\"]"]);
    for user in ["john", "alice"] {
        server.add_user(&format!("{user}@example.com"), "secret");
    }
    let port = free_port().port().to_string();
    let phone = Sipp::start(
        "phone_text.xml",
        &["-p", &port, "-t", mode, "-m", "1", "-timeout", "20s", "-timeout_error"],
        &[],
    );
    let users = format!("SEQUENTIAL\njohn;{port};\n");
    let file = ("users.csv", users.as_bytes());
    for scenario in ["register_password.xml", "send_password.xml"] {
        run(server.sip, scenario, &["-t", mode, "-inf", "users.csv"], &[file]);
    }
    phone.succeed();
}

#[test]
fn sipp_registers_and_sends_with_passwords_over_udp() {
    a_phone_registers_and_gets_a_message("u1");
}

#[test]
fn sipp_registers_and_sends_with_passwords_over_tcp() {
    a_phone_registers_and_gets_a_message("t1");
}
