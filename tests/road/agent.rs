//! The example user agent of presence, as its first lines say to run it.

use crate::harness::Server;

#[expect(dead_code, reason = "an example is a program of its own")]
#[path = "../../examples/presence_agent.rs"]
mod presence_agent;

fn run(server: &Server, words: &str) -> String {
    let server = server.sip.to_string();
    let words = ["--server", &server].into_iter().chain(words.split(' ')).map(str::to_owned);
    let mut said = Vec::new();
    presence_agent::run(words, &mut said).unwrap();
    String::from_utf8(said).unwrap()
}

#[test]
fn one_publishes_a_photo_and_a_note_and_another_sees_them_as_it_can() {
    let server = Server::start();
    let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/life_640x480.jpg");
    let said = run(&server, &format!("--me ann@example.com --note Home --photo {photo}"));
    assert!(said.starts_with("PUBLISH: 200 "), "{said}");

    let watch = "--me bob@example.com --watch ann@example.com --notifies 1";
    let said = run(&server, &format!("{watch} --accept image/jpeg;media-pix-x=max+64"));
    for line in ["SUBSCRIBE: 200 ", "NOTIFY: active", "ann@example.com is open", "note: Home"] {
        assert!(said.contains(line), "no {line}:\n{said}");
    }
    assert!(said.contains("beside it image/jpeg, 64x48, "), "{said}");
}
