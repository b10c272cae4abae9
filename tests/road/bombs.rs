//! Small files that claim to be, or would become, something very large: whoever they are for gets a link to them.

use crate::deliver;
use crate::harness::{Message, Phone, Server, bombs, data, phone};

#[test]
fn every_bomb_becomes_a_link_and_the_server_goes_on() {
    let mut server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[("Accept", "text/plain, image/jpeg;media-pix-x=max+32;media-pix-y=max+32")]);
    let hello: Message = phone::message_to("john").body("text/plain", b"hello");
    deliver(&server, &mut john, &hello);
    for (name, kind, bomb) in bombs::pictures() {
        let (received, answer) = deliver(&server, &mut john, &phone::message_to("john").body(kind, &bomb));
        assert_eq!(answer.status(), 200, "{name}: {answer}");
        assert!(String::from_utf8_lossy(&received.body).contains("http://"), "{name}: {received}");
    }
    deliver(&server, &mut john, &hello);
    server.terminate();
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn a_profile_packed_a_thousand_to_one_keeps_no_picture_from_its_phone() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register(&server, &[("Accept", "image/jpeg;media-pix-x=max+12")]);
    let message = phone::message_to("john").body("image/png", &data("formats/icc-bomb.png"));
    let (received, answer) = deliver(&server, &mut john, &message);
    assert_eq!(answer.status(), 200, "{answer}");
    assert_eq!(received.get("Content-Type"), "image/jpeg");
}
