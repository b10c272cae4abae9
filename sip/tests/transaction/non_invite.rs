//! Everything but INVITE: Timers E, F, K of the client, J of the server, and RFC 4320.

use sip::transaction::{Action, NonInviteClient, NonInviteServer, RespondError, Timers};

use crate::simulated::{Lab, Responded, SEND, sends, then};

const UDP: bool = false;
const TCP: bool = true;

fn client(reliable: bool) -> Lab<NonInviteClient<&'static str>> {
    let (lab, trace) =
        Lab::start(Timers::default(), |turn| NonInviteClient::start("MESSAGE", reliable, turn));
    assert_eq!(trace, sends("MESSAGE", &[0]));
    lab
}

fn server(reliable: bool) -> Lab<NonInviteServer<&'static str>> {
    Lab::start(Timers::default(), |turn| NonInviteServer::start(reliable, turn)).0
}

fn response(lab: &mut Lab<NonInviteClient<&'static str>>, status: u16) -> Vec<Action<&'static str>> {
    lab.input(|machine, turn| machine.on_response(status, turn)).1
}

fn respond(lab: &mut Lab<NonInviteServer<&'static str>>, status: u16, octets: &'static str) -> Responded {
    lab.input(|machine, turn| machine.respond(status, octets, turn))
}

const EXPIRED: [Action<&str>; 2] = [Action::Expired, Action::Terminated];

#[test]
fn timer_e_doubles_up_to_t2_until_timer_f_at_64_t1() {
    let at = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(client(UDP).until(99_000), then(sends("MESSAGE", &at), 32_000, &EXPIRED));
}

#[test]
fn over_tcp_only_timer_f_runs() {
    assert_eq!(client(TCP).until(99_000), then(vec![], 32_000, &EXPIRED));
}

#[test]
fn after_a_provisional_response_timer_e_fires_every_t2() {
    let mut lab = client(UDP);
    lab.until(600);
    assert_eq!(response(&mut lab, 100), [Action::Deliver]);
    let at = [1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500];
    assert_eq!(lab.until(99_000), then(sends("MESSAGE", &at), 32_000, &EXPIRED));
}

#[test]
fn timer_k_absorbs_repeated_responses_for_t4() {
    let mut lab = client(UDP);
    assert_eq!(response(&mut lab, 200), [Action::Deliver]);
    assert_eq!(response(&mut lab, 200), []);
    assert_eq!(response(&mut lab, 100), []);
    assert_eq!(lab.until(99_000), [(5000, Action::Terminated)]);
}

#[test]
fn timer_k_is_zero_over_tcp() {
    assert_eq!(response(&mut client(TCP), 404), [Action::Deliver, Action::Terminated]);
}

#[test]
fn a_transport_error_ends_a_client_without_an_answer_and_no_other() {
    let mut lab = client(UDP);
    assert_eq!(lab.input(NonInviteClient::on_transport_error).1, [Action::Failed, Action::Terminated]);
    let mut lab = client(UDP);
    response(&mut lab, 200);
    assert_eq!(lab.input(NonInviteClient::on_transport_error).1, []);
}

#[test]
fn a_late_clock_does_not_shift_the_series() {
    let mut lab = client(UDP);
    assert_eq!(lab.late_by(500, 30), sends("MESSAGE", &[530]));
    assert_eq!(lab.until(3500), sends("MESSAGE", &[1500, 3500]));
}

#[test]
fn a_clock_that_stood_still_sends_once_and_not_in_a_burst() {
    let mut lab = client(UDP);
    assert_eq!(lab.late_by(500, 9500), sends("MESSAGE", &[10_000]));
    assert_eq!(lab.until(13_000), sends("MESSAGE", &[11_000, 13_000]));
}

#[test]
fn a_server_is_asked_for_100_at_3500_milliseconds_and_never_for_408() {
    let mut lab = server(UDP);
    assert_eq!(lab.until(3500), [(3500, Action::Trying)]);
    assert_eq!(respond(&mut lab, 100, "100"), (Ok(()), vec![SEND("100")]));
    // 64*T1 of silence later the client has gone; nothing is sent, repetitions under way are absorbed.
    assert_eq!(lab.until(99_000), [(32_000, Action::Expired), (37_000, Action::Terminated)]);
}

#[test]
fn the_automatic_100_goes_over_tcp_too() {
    let mut lab = server(TCP);
    assert_eq!(lab.until(3500), [(3500, Action::Trying)]);
    respond(&mut lab, 100, "100").0.unwrap();
    assert_eq!(lab.until(99_000), then(vec![], 32_000, &EXPIRED));
}

#[test]
fn a_100_is_too_early_over_udp_and_welcome_over_tcp() {
    let mut lab = server(UDP);
    lab.until(3499);
    assert_eq!(respond(&mut lab, 100, "100"), (Err(RespondError::Early), vec![]));
    assert_eq!(lab.until(3500), [(3500, Action::Trying)]);

    let mut lab = server(TCP);
    assert_eq!(respond(&mut lab, 100, "100"), (Ok(()), vec![SEND("100")]));
    assert_eq!(lab.until(31_999), [], "one 100 is enough");
}

#[test]
fn no_provisional_response_but_100_is_sent() {
    for reliable in [UDP, TCP] {
        let mut lab = server(reliable);
        lab.until(4000);
        assert_eq!(respond(&mut lab, 183, "183"), (Err(RespondError::Provisional), vec![]));
    }
}

#[test]
fn a_408_is_not_sent_and_the_transaction_stays_silent() {
    let mut lab = server(UDP);
    assert_eq!(respond(&mut lab, 408, "408"), (Err(RespondError::Timeout), vec![]));
    assert_eq!(lab.input(NonInviteServer::on_request).1, []);
    assert_eq!(respond(&mut lab, 200, "200"), (Err(RespondError::Late), vec![]));
    assert_eq!(lab.until(99_000), [(32_000, Action::Terminated)]);
}

#[test]
fn a_response_after_64_t1_is_late() {
    let mut lab = server(UDP);
    lab.until(32_000);
    assert_eq!(respond(&mut lab, 200, "200"), (Err(RespondError::Late), vec![]));
}

#[test]
fn timer_j_repeats_the_response_for_64_t1() {
    let mut lab = server(UDP);
    assert_eq!(lab.input(NonInviteServer::on_request).1, []);
    assert_eq!(respond(&mut lab, 200, "200").1, [SEND("200")]);
    lab.until(31_999);
    assert_eq!(lab.input(NonInviteServer::on_request).1, [SEND("200")]);
    assert_eq!(respond(&mut lab, 500, "500"), (Err(RespondError::Late), vec![]));
    assert_eq!(lab.until(99_000), [(32_000, Action::Terminated)]);
}

#[test]
fn timer_j_is_zero_over_tcp() {
    assert_eq!(respond(&mut server(TCP), 200, "200").1, [SEND("200"), Action::Terminated]);
}

#[test]
fn a_server_survives_transport_errors() {
    let mut lab = server(UDP);
    respond(&mut lab, 200, "200").0.unwrap();
    assert_eq!(lab.input(NonInviteServer::on_transport_error).1, [Action::Failed]);
    assert_eq!(lab.input(NonInviteServer::on_request).1, [SEND("200")]);
}
