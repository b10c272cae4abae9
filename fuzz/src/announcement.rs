//! What a caller of the announcement service writes: a Request-URI, and a description.

use annc::order::Order;
use annc::sdp::{Local, Means, Session, again, agree, answer, offer};
use annc::{Form, sdp};

/// The first line is the parameters of a Request-URI, the rest a description.
pub fn run(data: &[u8]) {
    let (params, description) = match data.iter().position(|octet| *octet == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b""[..]),
    };
    if let Ok(uri) = sip::Uri::parse(&[b"sip:annc@example.com", params].concat())
        && let Ok(order) = Order::read(&uri)
    {
        assert!(!order.play.is_empty() && !order.play.chars().any(char::is_control));
        let _ = lemonade::ImapUrl::parse(&order.play);
    }
    let Ok(session) = Session::read(description) else { return };
    let means = Means {
        passes: vec![Form::H264, Form::Amr],
        encodes: vec![Form::Pcmu, Form::G722],
        transcodes: Form::ALL.to_vec(),
        keys: true,
        ..Means::default()
    };
    let local = Local {
        id: 1,
        version: 1,
        address: [192, 0, 2, 1].into(),
        media: session.media.iter().map(|_| Some(sdp::LocalMedium { port: 30_000, key: None })).collect(),
        sets: Vec::new(),
    };
    assert!(Session::read(offer(&means, &local, [Some((1, &[])), Some((3, &[]))]).as_bytes()).is_ok());
    let Ok(agreement) = agree(&session, &means, &|_| true) else { return };
    assert_eq!(agreement.len(), session.media.len());
    let before: Vec<_> = agreement.iter().map(|agreed| agreed.as_ref().map(|one| (one, u32::MAX))).collect();
    assert!(
        again(&session, &before, &means, &|_| true).is_ok(),
        "what was agreed on is, when it is offered again"
    );
    let text = answer(&session, &agreement, &local);
    let ours = Session::read(text.as_bytes()).expect("our own answer is read");
    assert_eq!(ours.media.len(), session.media.len());
}
