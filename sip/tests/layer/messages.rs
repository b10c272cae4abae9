//! The example messages of tests/data/messages against INDEX.json.

use sip::{Framed, Limits, Message, Outgoing, StreamFramer, frame};

use crate::data::{example, example_names, index};

/// File name, octets, and what INDEX.json says, of all SIP messages (two are HTTP).
fn examples() -> Vec<(String, Vec<u8>, serde_json::Value)> {
    let index = index();
    let entry = |name: String| {
        let expected = index[format!("{name}.msg")].clone();
        (name.clone(), example(&name), expected)
    };
    example_names().into_iter().map(entry).collect()
}

#[test]
fn start_lines_and_bodies_are_those_of_the_index() {
    let all = examples();
    assert_eq!(all.len(), 64);
    for (name, octets, expected) in all {
        let limits = Limits::default();
        let Ok(Framed::Message(raw)) = frame::datagram(octets.clone().into(), &limits) else {
            panic!("{name}")
        };
        assert_eq!(raw.start_line(), expected["start"].as_str().unwrap().as_bytes(), "{name}");
        assert_eq!(raw.body_octets().len() as u64, expected["body_octets"].as_u64().unwrap(), "{name}");
        assert_eq!(octets.len() as u64, expected["octets"].as_u64().unwrap(), "{name}");
        let valid = sip::validate(raw, &limits).unwrap_or_else(|invalid| panic!("{name}: {invalid}"));
        let encoded = match &valid {
            Message::Request(request) => Outgoing::from(request).encode(),
            Message::Response(response) => Outgoing::from(response).encode(),
        };
        assert_eq!(encoded.to_bytes(), octets, "{name}");
    }
}

#[test]
fn all_examples_pass_one_stream_in_pieces_of_seven_octets() {
    let all = examples();
    let stream: Vec<u8> = all.iter().flat_map(|(_, octets, _)| octets.clone()).collect();
    let mut framer = StreamFramer::new(Limits::default());
    let mut got = Vec::new();
    for piece in stream.chunks(7) {
        framer.push(piece);
        while let Some(framed) = framer.next().unwrap() {
            let Framed::Message(raw) = framed else { continue };
            got.push(raw.octets().to_vec());
        }
    }
    let sent: Vec<Vec<u8>> = all.into_iter().map(|(_, octets, _)| octets).collect();
    assert_eq!(got, sent);
}
