//! REGISTER: what is stored, what is not, and what outlives a crash.

use crate::harness::{self, Line, Message, Phone, Server};

fn query(server: &Server) -> Message {
    let phone = Phone::udp("john");
    let mut request = phone.register_request(&[]);
    request = request.without("Contact");
    Line::tcp(server.sip).request(&request)
}

/// T18
#[test]
fn wildcards_and_brief_registrations_follow_their_examples() {
    let server = Server::start();
    let mut line = Line::udp(server.sip);
    let send = |line: &mut Line, number: &str| line.request(&harness::example(number));
    assert_eq!(send(&mut line, "060").status(), 200);
    let before = query(&server);
    assert_eq!(before.all("Contact").len(), 1);

    assert_eq!(send(&mut line, "065").status(), 400, "* beside another Contact");
    let brief = send(&mut line, "066");
    assert_eq!((brief.status(), brief.get("Min-Expires")), (423, "60"));
    assert_eq!(query(&server).all("Contact").len(), 1, "nothing was changed");

    let gone = send(&mut line, "064");
    assert_eq!((gone.status(), gone.header("Contact")), (200, None), "{gone}");
}

/// T19
#[test]
fn a_cseq_that_is_not_higher_changes_nothing() {
    let server = Server::start();
    let mut line = Line::udp(server.sip);
    let first = harness::example("060").set("CSeq", "7 REGISTER");
    assert_eq!(line.request(&first).status(), 200);
    let again = first.clone().set("Contact", "<sip:john@192.0.2.7>;expires=0");
    assert_eq!(line.request(&again).status(), 500);
    assert_eq!(query(&server).all("Contact").len(), 1);
    let other = again.set("Call-ID", "another@phone");
    assert_eq!(line.request(&other).status(), 200);
    assert_eq!(query(&server).all("Contact").len(), 0);
}

/// RFC 3261 §17.2.2: the answer was lost, and the phone asks again in the same transaction.
#[test]
fn a_register_that_comes_again_is_answered_again_and_a_new_one_is_asked_for_its_cseq() {
    let server = Server::start();
    let mut line = Line::udp(server.sip);
    let register = harness::example("060").set("CSeq", "7 REGISTER");
    let via = |branch: &str| format!("SIP/2.0/UDP {};rport;branch={branch}", line.local());
    let (first, other) =
        (register.clone().set("Via", &via("z9hG4bK1")), register.set("Via", &via("z9hG4bK2")));
    for _ in 0..3 {
        let answer = line.try_request(&first).unwrap();
        assert_eq!((answer.status(), answer.all("Contact").len()), (200, 1), "{answer}");
    }
    assert_eq!(line.try_request(&other).unwrap().status(), 500);
    assert_eq!(query(&server).all("Contact").len(), 1);
}

/// T20
#[test]
fn one_brief_contact_keeps_its_good_neighbour_out() {
    let server = Server::start();
    let both = harness::example("060")
        .set("Contact", "<sip:john@192.0.2.7>;expires=3600")
        .with("Contact", "<sip:john@192.0.2.8>;expires=20");
    assert_eq!(Line::tcp(server.sip).request(&both).status(), 423);
    assert_eq!(query(&server).all("Contact").len(), 0);
}

#[test]
fn a_binding_and_what_it_can_show_outlive_a_crash() {
    let mut server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register_as(&server, "005");
    server.crash_and_restart();
    let (received, _) = crate::deliver(&server, &mut phone, &harness::example("020"));
    assert_eq!(harness::picture::picture(&received.body).width, 158);
}

#[test]
fn a_broken_capability_never_fails_the_registration() {
    let server = Server::start();
    let phone = Phone::tcp("john");
    phone.register(
        &server,
        &[("Accept", "image/jpeg;media-pix-x=huge;length=max+-5, ;;q=, /"), ("Max-Size", "plenty")],
    );
}
