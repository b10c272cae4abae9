//! Members of lists who are users of other domains, watched at their own servers (RFC 4662 §5).

use crate::harness::server::Setup;
use crate::harness::{Line, Message, Phone, Server, eventually, http};
use crate::presence::{PIDF, document, in_dialog, note, subscribe, text, watch};

/// A server in front of theirs, with a list of those members.
fn before(theirs: &Phone, settings: &[&str], members: &str) -> Server {
    let route = format!("route=[{{domain=\"presence.test\", next_hop=\"sip:{}\"}}]", theirs.addr());
    let server = Server::with(&[&[&*route, "presence.notify_every=1s"], settings].concat());
    put_list(&server, "friends", members);
    server
}

fn put_list(server: &Server, name: &str, members: &str) {
    let body = format!("{{\"members\":[{members}]}}");
    let path = format!("/api/v1/lists/{name}@example.com");
    let answer = http::send(server.admin, "PUT", &path, &[], body.as_bytes());
    assert!(matches!(answer.status(), 200 | 204), "{answer}");
}

fn watch_friends(phone: &Phone) -> Message {
    watch_list(phone, "friends")
}

fn watch_list(phone: &Phone, name: &str) -> Message {
    let accept = "application/pidf+xml, application/rlmi+xml, multipart/related";
    subscribe(phone, &format!("{name}@example.com"), &[("Accept", accept), ("Supported", "eventlist")])
}

/// Their answer to a SUBSCRIBE.
fn accept(theirs: &mut Phone, asked: &Message) {
    let answer = asked.answer(200, "OK").set("To", &format!("{};tag=theirs", asked.get("To")));
    let contact = format!("<sip:eve@{}>", theirs.addr());
    theirs.respond(&answer.with("Contact", &contact).with("Expires", "600"));
}

/// Their NOTIFY in the dialog of that SUBSCRIBE.
fn notify(server: &Server, asked: &Message, cseq: u32, state: &str, body: &str) -> u16 {
    let target = asked.get("Contact").trim_matches(['<', '>']).to_owned();
    let notify = Message::new(&format!("NOTIFY {target} SIP/2.0"))
        .with("Max-Forwards", "70")
        .with("From", &format!("{};tag=theirs", asked.get("To").split(";tag").next().unwrap()))
        .with("To", asked.get("From"))
        .with("Call-ID", asked.get("Call-ID"))
        .with("CSeq", &format!("{cseq} NOTIFY"))
        .with("Contact", "<sip:eve@presence.test>")
        .with("Event", "presence")
        .with("Subscription-State", state);
    let notify = if body.is_empty() { notify } else { notify.body(PIDF, body.as_bytes()) };
    Line::udp(server.sip).request(&notify).status()
}

fn until(phone: &mut Phone, piece: &str) -> String {
    loop {
        let told = text(&phone.take());
        if told.contains(piece) {
            return told;
        }
    }
}

#[test]
fn a_member_of_another_domain_is_watched_there_for_as_long_as_the_list_is() {
    let mut theirs = Phone::udp("theirs");
    let server = before(&theirs, &["presence.elsewhere=10"], "\"eve@presence.test\"");
    let mut bob = Phone::tcp("bob");
    let request = watch_friends(&bob);
    let (answer, first) = watch(&server, &mut bob, &request);
    assert!(text(&first).contains("<resource uri=\"sip:eve@presence.test\"/>"), "{first}");

    let asked = theirs.receive();
    assert_eq!((asked.method(), asked.request_uri()), ("SUBSCRIBE", "sip:eve@presence.test"));
    assert!(asked.get("From").starts_with("<sip:bob@example.com>;tag="), "in the watcher's name: {asked}");
    assert_eq!(asked.get("P-Asserted-Identity"), "<sip:bob@example.com>");
    assert_eq!((asked.get("Event"), asked.get("Accept"), asked.get("Expires")), ("presence", PIDF, "3600"));
    accept(&mut theirs, &asked);
    let state = |word: &str| format!("{word};expires=600");
    assert_eq!(notify(&server, &asked, 1, &state("pending"), ""), 200);
    until(&mut bob, "state=\"pending\"");
    let here = document("eve@presence.test", "Eve is here", "");
    assert_eq!(notify(&server, &asked, 2, &state("active"), &here), 200);
    let told = until(&mut bob, "Eve is here");
    assert!(told.contains("state=\"active\"") && told.contains("cid="), "{told}");

    // What is not of the dialog, or can't be read, is refused and changes nothing.
    assert_eq!(notify(&server, &asked, 2, &state("active"), ""), 500);
    assert_eq!(notify(&server, &asked, 3, &state("active"), "<presence"), 400);
    let stranger = asked.clone().set("Call-ID", "another");
    assert_eq!(notify(&server, &stranger, 4, &state("active"), &here.replace("here", "gone")), 481);

    assert_eq!(notify(&server, &asked, 5, "terminated;reason=rejected", ""), 200);
    until(&mut bob, "state=\"terminated\" reason=\"rejected\"");
    // A watcher who comes again later finds the member as he is known.
    watch(&server, &mut bob, &in_dialog(&request, &answer, 2));
}

#[test]
fn the_other_server_hears_that_nobody_watches_the_list_any_more() {
    let mut theirs = Phone::udp("theirs");
    let server = before(&theirs, &["presence.elsewhere=10"], "\"eve@presence.test\"");
    let mut bob = Phone::tcp("bob");
    let request = watch_friends(&bob);
    let (answer, _) = watch(&server, &mut bob, &request);
    let asked = theirs.receive();
    accept(&mut theirs, &asked);
    let here = document("eve@presence.test", "Eve is here", "");
    assert_eq!(notify(&server, &asked, 1, "active;expires=600", &here), 200);
    until(&mut bob, "Eve is here");
    let end = in_dialog(&request, &answer, 2).set("Expires", "0");
    assert_eq!(Line::tcp(server.sip).request(&end).status(), 200);
    bob.take();
    let last = theirs.receive();
    assert_eq!((last.method(), last.get("Expires")), ("SUBSCRIBE", "0"), "{last}");
    assert_eq!(last.get("Call-ID"), asked.get("Call-ID"));
    assert!(last.get("To").ends_with(";tag=theirs"), "in the dialog: {last}");
    theirs.respond(&last.answer(200, "OK").with("Expires", "0"));
}

#[test]
fn there_are_so_many_of_them_and_none_unless_they_are_wanted() {
    let mut theirs = Phone::udp("theirs");
    let members = "\"eve@presence.test\", \"ned@presence.test\", \"far@nowhere.test\"";
    let server = before(&theirs, &["presence.elsewhere=1"], members);
    let mut bob = Phone::tcp("bob");
    let request = watch_friends(&bob);
    watch(&server, &mut bob, &request);
    let asked = theirs.receive();
    accept(&mut theirs, &asked);
    let here = document("eve@presence.test", "Eve is here", "");
    assert_eq!(notify(&server, &asked, 1, "active;expires=600", &here), 200);
    until(&mut bob, "Eve is here");
    assert!(!theirs.has_more(), "a second one is over the limit, and a third has no route");
    drop(server);

    let theirs = Phone::udp("theirs");
    let server = before(&theirs, &[], members);
    let mut bob = Phone::tcp("bob");
    let request = watch_friends(&bob);
    watch(&server, &mut bob, &request);
    assert!(!theirs.has_more(), "nobody is asked by default");
}

/// After a crash whoever still watches the list has its members watched anew.
#[test]
fn a_list_that_outlives_the_server_has_its_members_watched_again() {
    let mut theirs = Phone::udp("theirs");
    let mut server = before(&theirs, &["presence.elsewhere=10"], "\"eve@presence.test\"");
    let mut bob = Phone::udp("bob");
    let request = watch_friends(&bob);
    watch(&server, &mut bob, &request);
    let asked = theirs.receive();
    accept(&mut theirs, &asked);
    server.crash_and_restart();
    let again = loop {
        let again = theirs.receive();
        if again.get("Call-ID") != asked.get("Call-ID") {
            break again;
        }
    };
    accept(&mut theirs, &again);
    let here = document("eve@presence.test", "Eve is here", "");
    assert_eq!(notify(&server, &again, 1, "active;expires=600", &here), 200);
    until(&mut bob, "Eve is here");
}

/// Nothing of what one watcher is told of a member shows in what another is, nor that he is told.
#[test]
fn what_comes_for_one_watcher_is_told_with_his_lists_alone() {
    let mut theirs = Phone::udp("theirs");
    let server = before(&theirs, &["presence.elsewhere=10"], "\"eve@presence.test\"");
    put_list(&server, "others", "\"eve@presence.test\", \"ann@example.com\"");
    let (mut bob, mut carl) = (Phone::tcp("bob"), Phone::tcp("carl"));
    let request = watch_friends(&bob);
    watch(&server, &mut bob, &request);
    let of_bob = theirs.receive();
    accept(&mut theirs, &of_bob);
    let request = watch_list(&carl, "others");
    watch(&server, &mut carl, &request);
    let of_carl = theirs.receive();
    accept(&mut theirs, &of_carl);
    assert!(of_carl.get("From").starts_with("<sip:carl@example.com>"), "{of_carl}");
    let here = document("eve@presence.test", "Eve is here", "");
    assert_eq!(notify(&server, &of_bob, 1, "active;expires=600", &here), 200);
    until(&mut bob, "Eve is here");
    note(&server, "ann@example.com", "Ann is here");
    loop {
        let told = text(&carl.take());
        assert!(!told.contains("eve@presence.test"), "{told}");
        if told.contains("Ann is here") {
            break;
        }
    }
}

#[test]
fn one_watcher_has_a_share_and_who_waits_is_watched_when_there_is_room() {
    let mut theirs = Phone::udp("theirs");
    let settings = ["presence.elsewhere=2", "presence.watcher_elsewhere=1"];
    let server = before(&theirs, &settings, "\"eve@presence.test\", \"ned@presence.test\"");
    let mut phones = ["bob", "carl", "dora"].map(Phone::tcp);
    let mut dialogs = Vec::new();
    for phone in &mut phones {
        let request = watch_friends(phone);
        dialogs.push((request.clone(), watch(&server, phone, &request).0));
    }
    let mut asked = Vec::new();
    for watcher in ["bob", "carl"] {
        let one = theirs.receive();
        accept(&mut theirs, &one);
        assert!(one.get("From").starts_with(&format!("<sip:{watcher}@example.com>")), "{one}");
        assert_eq!(notify(&server, &one, 1, "active;expires=600", ""), 200);
        asked.push(one);
    }
    assert!(!theirs.has_more(), "a second one is over their share, and dora finds no room");
    let count = |state: &str| server.metric(&format!("bespoke_presence_elsewhere{{state=\"{state}\"}}"));
    eventually("it is measured", || (count("watched"), count("waiting")) == (2, 4));
    assert!(server.log().contains("members of lists wait to be watched"));
    // Who ends makes room for her.
    let (request, answer) = &dialogs[0];
    let end = in_dialog(request, answer, 2).set("Expires", "0");
    assert_eq!(Line::tcp(server.sip).request(&end).status(), 200);
    phones[0].take();
    let last = theirs.receive();
    assert_eq!((last.get("Expires"), last.get("Call-ID")), ("0", asked[0].get("Call-ID")));
    theirs.respond(&last.answer(200, "OK").with("Expires", "0"));
    let hers = theirs.receive();
    assert!(hers.get("From").starts_with("<sip:dora@example.com>"), "{hers}");
    accept(&mut theirs, &hers);
}

#[test]
fn a_list_that_is_watched_joins_when_the_operator_allows_it() {
    let mut theirs = Phone::udp("theirs");
    let route = format!("[[route]]\ndomain = \"presence.test\"\nnext_hop = \"sip:{}\"\n", theirs.addr());
    let config = Some(route.clone());
    let settings = vec!["presence.notify_every=1s".to_owned()];
    let server = Server::set_up(Setup { settings, config, ..Setup::default() });
    put_list(&server, "friends", "\"eve@presence.test\"");
    let mut bob = Phone::tcp("bob");
    let request = watch_friends(&bob);
    let (answer, _) = watch(&server, &mut bob, &request);
    assert!(!theirs.has_more());
    server.reload(&format!("{route}[presence]\nelsewhere = 1\n"));
    let asked = theirs.receive();
    accept(&mut theirs, &asked);
    let here = document("eve@presence.test", "Eve is here", "");
    assert_eq!(notify(&server, &asked, 1, "active;expires=600", &here), 200);
    until(&mut bob, "Eve is here");
    watch(&server, &mut bob, &in_dialog(&request, &answer, 2));
    assert!(!theirs.has_more(), "he is watched already");
}

#[test]
fn who_watches_a_list_of_the_config_that_has_other_members_is_to_subscribe_anew() {
    let list = |members: &str| format!("[[list]]\nuri = \"team@example.com\"\nmembers = [{members}]\n");
    let other = "[[list]]\nuri = \"others@example.com\"\nmembers = [\"ann@example.com\"]\n";
    let config = Some(list("\"ann@example.com\"") + other);
    let server = Server::set_up(Setup { config, ..Setup::default() });
    let mut phones = ["bob", "carl"].map(Phone::tcp);
    for (phone, name) in phones.iter_mut().zip(["team", "others"]) {
        let request = watch_list(phone, name);
        watch(&server, phone, &request);
    }
    server.reload(&(list("\"ann@example.com\", \"john@example.com\"") + other));
    assert_eq!(phones[0].take().get("Subscription-State"), "terminated;reason=deactivated");
    let request = watch_list(&phones[0], "team");
    let (_, again) = watch(&server, &mut phones[0], &request);
    assert!(text(&again).contains("john@example.com"), "{again}");
    assert!(!phones[1].has_more(), "the other list is as it was");
}
