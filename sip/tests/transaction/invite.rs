//! INVITE: Timers A, B, C, D, M of the client, G, H, I, L of the server.

use std::time::Duration;

use sip::transaction::{Action, InviteClient, InviteServer, RespondError, Timers};

use crate::simulated::{Lab, Responded, SEND, sends, then};

const UDP: bool = false;
const TCP: bool = true;

fn client(reliable: bool) -> Lab<InviteClient<&'static str>> {
    let (lab, trace) = Lab::start(Timers::default(), |turn| InviteClient::start("INVITE", reliable, turn));
    assert_eq!(trace, sends("INVITE", &[0]));
    lab
}

fn server(reliable: bool) -> Lab<InviteServer<&'static str>> {
    Lab::start(Timers::default(), |turn| InviteServer::start(reliable, turn)).0
}

fn response(lab: &mut Lab<InviteClient<&'static str>>, status: u16) -> Vec<Action<&'static str>> {
    lab.input(|machine, turn| machine.on_response(status, || "ACK", turn)).1
}

fn respond(lab: &mut Lab<InviteServer<&'static str>>, status: u16, octets: &'static str) -> Responded {
    lab.input(|machine, turn| machine.respond(status, octets, turn))
}

const EXPIRED: [Action<&str>; 2] = [Action::Expired, Action::Terminated];

#[test]
fn timer_a_doubles_without_a_bound_until_timer_b_at_64_t1() {
    let resent = sends("INVITE", &[500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(client(UDP).until(1_000_000), then(resent, 32_000, &EXPIRED));
}

#[test]
fn over_tcp_only_timer_b_runs() {
    assert_eq!(client(TCP).until(1_000_000), then(vec![], 32_000, &EXPIRED));
}

#[test]
fn a_provisional_response_stops_timers_a_and_b() {
    let mut lab = client(UDP);
    lab.until(600);
    assert_eq!(response(&mut lab, 100), [Action::Deliver]);
    assert_eq!(lab.until(180_999), []);
}

#[test]
fn timer_c_cancels_and_64_t1_later_gives_up() {
    let mut lab = client(UDP);
    response(&mut lab, 100);
    let expected = then(vec![(181_000, Action::Cancel)], 213_000, &EXPIRED);
    assert_eq!(lab.until(1_000_000), expected);
}

#[test]
fn ringing_starts_timer_c_anew_and_trying_does_not() {
    let mut lab = client(UDP);
    response(&mut lab, 180);
    lab.until(100_000);
    response(&mut lab, 180);
    lab.until(200_000);
    response(&mut lab, 100);
    assert_eq!(lab.until(281_000), [(281_000, Action::Cancel)]);
}

#[test]
fn a_cancelled_invite_still_takes_its_487() {
    let mut lab = client(UDP);
    response(&mut lab, 180);
    assert_eq!(lab.input(InviteClient::cancel).1, [Action::Cancel]);
    assert_eq!(lab.input(InviteClient::cancel).1, []);
    assert_eq!(response(&mut lab, 487), [SEND("ACK"), Action::Deliver]);
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut lab = client(UDP);
    assert_eq!(lab.input(InviteClient::cancel).1, []);
    assert_eq!(response(&mut lab, 100), [Action::Deliver, Action::Cancel]);
}

#[test]
fn timer_d_answers_repeated_failures_with_the_same_ack_for_32_seconds() {
    let mut lab = client(UDP);
    assert_eq!(response(&mut lab, 486), [SEND("ACK"), Action::Deliver]);
    lab.until(31_999);
    assert_eq!(response(&mut lab, 486), [SEND("ACK")]);
    assert_eq!(lab.until(99_000), [(32_000, Action::Terminated)]);
}

#[test]
fn timer_d_is_32_seconds_however_small_t1_is() {
    let timers = Timers { t1: Duration::from_millis(10), ..Timers::default() };
    let (mut lab, _) = Lab::start(timers, |turn| InviteClient::start("INVITE", UDP, turn));
    response(&mut lab, 486);
    assert_eq!(lab.until(99_000), [(32_000, Action::Terminated)]);
}

#[test]
fn timer_d_is_zero_over_tcp() {
    assert_eq!(response(&mut client(TCP), 486), [SEND("ACK"), Action::Deliver, Action::Terminated]);
}

#[test]
fn timer_m_delivers_every_2xx_for_64_t1_and_acks_none() {
    for reliable in [UDP, TCP] {
        let mut lab = client(reliable);
        assert_eq!(response(&mut lab, 200), [Action::Deliver]);
        lab.until(31_999);
        assert_eq!(response(&mut lab, 200), [Action::Deliver]);
        assert_eq!(response(&mut lab, 486), []);
        assert_eq!(lab.until(99_000), [(32_000, Action::Terminated)]);
    }
}

#[test]
fn a_transport_error_ends_a_client_that_sends_and_no_other() {
    let failed = [Action::Failed, Action::Terminated];
    let mut lab = client(UDP);
    assert_eq!(lab.input(InviteClient::on_transport_error).1, failed);
    let mut lab = client(UDP);
    response(&mut lab, 180);
    assert_eq!(lab.input(InviteClient::on_transport_error).1, []);
    response(&mut lab, 486);
    assert_eq!(lab.input(InviteClient::on_transport_error).1, failed);
}

#[test]
fn a_server_asks_for_100_after_200_milliseconds_unless_its_user_was_faster() {
    assert_eq!(server(UDP).until(99_000), [(200, Action::Trying)]);
    let mut lab = server(UDP);
    lab.until(199);
    respond(&mut lab, 180, "180").0.unwrap();
    assert_eq!(lab.until(99_000), []);
}

#[test]
fn the_last_provisional_response_answers_a_repeated_invite() {
    let mut lab = server(UDP);
    assert_eq!(lab.input(InviteServer::on_request).1, []);
    respond(&mut lab, 100, "100").0.unwrap();
    respond(&mut lab, 180, "180").0.unwrap();
    assert_eq!(lab.input(InviteServer::on_request).1, [SEND("180")]);
}

#[test]
fn timer_g_doubles_up_to_t2_until_timer_h_gives_the_ack_up() {
    let mut lab = server(UDP);
    assert_eq!(respond(&mut lab, 486, "486").1, [SEND("486")]);
    let at = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(lab.until(99_000), then(sends("486", &at), 32_000, &EXPIRED));
}

#[test]
fn over_tcp_timer_h_runs_without_timer_g() {
    let mut lab = server(TCP);
    respond(&mut lab, 486, "486").0.unwrap();
    assert_eq!(lab.until(99_000), then(vec![], 32_000, &EXPIRED));
}

#[test]
fn timer_i_absorbs_acks_for_t4_over_udp_and_not_at_all_over_tcp() {
    let mut lab = server(UDP);
    respond(&mut lab, 486, "486").0.unwrap();
    lab.until(600);
    assert_eq!(lab.input(InviteServer::on_ack).1, []);
    assert_eq!(lab.input(InviteServer::on_request).1, []);
    lab.until(1000);
    assert_eq!(lab.input(InviteServer::on_ack).1, []);
    assert_eq!(lab.until(99_000), [(5600, Action::Terminated)]);

    let mut lab = server(TCP);
    respond(&mut lab, 486, "486").0.unwrap();
    assert_eq!(lab.input(InviteServer::on_ack).1, [Action::Terminated]);
}

#[test]
fn timer_l_absorbs_the_invite_for_64_t1_and_lets_2xx_and_acks_through() {
    for reliable in [UDP, TCP] {
        let mut lab = server(reliable);
        assert_eq!(respond(&mut lab, 200, "200").1, [SEND("200")]);
        assert_eq!(lab.input(InviteServer::on_request).1, []);
        assert_eq!(lab.input(InviteServer::on_ack).1, [Action::Deliver]);
        assert_eq!(respond(&mut lab, 200, "200b").1, [SEND("200b")]);
        assert_eq!(respond(&mut lab, 486, "486"), (Err(RespondError::Late), vec![]));
        assert_eq!(lab.until(99_000), [(32_000, Action::Terminated)]);
    }
}

#[test]
fn a_server_survives_transport_errors() {
    let mut lab = server(UDP);
    assert_eq!(lab.input(InviteServer::on_transport_error).1, [Action::Failed]);
    respond(&mut lab, 200, "200").0.unwrap();
    assert_eq!(lab.input(InviteServer::on_transport_error).1, [Action::Failed]);
    assert_eq!(respond(&mut lab, 200, "200").1, [SEND("200")]);
}

#[test]
fn a_second_final_response_is_late() {
    let mut lab = server(UDP);
    respond(&mut lab, 486, "486").0.unwrap();
    assert_eq!(respond(&mut lab, 200, "200"), (Err(RespondError::Late), vec![]));
}
