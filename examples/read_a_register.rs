//! Reads a REGISTER and prints, for each of its contacts, which media types the terminal takes and how much.
//!
//! `cargo run --example read_a_register -- tests/data/messages/014-register-two-contacts.msg`

use std::error::Error;

use sip::{Contact, Framed, Limits, Message};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a file with a REGISTER")?;
    let limits = Limits::default();
    let Framed::Message(raw) = sip::frame::datagram(std::fs::read(&path)?.into(), &limits)? else {
        return Err("a keep-alive, not a message".into());
    };
    let Message::Request(register) = sip::validate(raw, &limits)? else {
        return Err("a response, not a REGISTER".into());
    };
    let head = register.headers().map(|header| (header.name, header.value));
    let (headers, tolerated) = cpi::decode::from_headers(head, &cpi::Extensions::NONE);
    for contact in register.contacts() {
        let Contact::Address(address) = contact? else { continue };
        let said = cpi::contact::decode(address.params(), &cpi::Extensions::NONE);
        println!("{}", String::from_utf8_lossy(address.uri_octets()));
        // Its own parameters first, then the headers of the request.
        let terminal = cpi::merge::binding(&headers, &said);
        println!("  Accept: {}", cpi::render::accept(terminal.media.as_deref().unwrap_or_default()));
        println!("  Accept-Encoding: {}", cpi::render::accept_encoding(&terminal.whole));
    }
    for diag in tolerated {
        println!("tolerated: {diag}");
    }
    Ok(())
}
