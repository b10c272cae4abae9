//! Presence end to end: T17 and T25, examples 022, 023, 050 to 057 and 071 to 077 over real sockets.

use crate::harness::phone::serial;
use crate::harness::picture::picture;
use crate::harness::{self, Line, Message, Phone, Server, http};
use crate::{param, parts};

pub(crate) const PIDF: &str = "application/pidf+xml";

/// A document of `user`, with that note and those lines before its end.
pub(crate) fn document(user: &str, note: &str, links: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:b=\"urn:ietf:params:xml:ns:pidf-ext-cont\" \
         entity=\"pres:{user}\">\r\n\
         <tuple id=\"t1\"><status><basic>open</basic></status></tuple>\r\n<note>{note}</note>\r\n{links}</presence>"
    )
}

pub(crate) fn publish(user: &str) -> Message {
    Message::new(&format!("PUBLISH sip:{user} SIP/2.0"))
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:{user}>;tag=p{}", serial()))
        .with("To", &format!("<sip:{user}>"))
        .with("Call-ID", &format!("pub-{}@here", serial()))
        .with("CSeq", "1 PUBLISH")
        .with("Event", "presence")
        .with("Expires", "3600")
}

/// Publishes a note, and gives the answer, which is a 200.
pub(crate) fn note(server: &Server, user: &str, note: &str) -> Message {
    let request = publish(user).body(PIDF, document(user, note, "").as_bytes());
    let answer = Line::tcp(server.sip).request(&request);
    assert_eq!(answer.status(), 200, "{answer}");
    answer
}

/// A document with two photos beside it: one of 64x48 pixels, and one that is large.
fn publish_photos(server: &Server, user: &str) -> (Vec<u8>, Vec<u8>) {
    let example = harness::example("054");
    let small = parts(&example)[1].body.clone();
    let large = harness::data("images/life_640x480.jpg");
    let links =
        "<b:ObjLink>cid:own_photo@example.com</b:ObjLink>\r\n<b:ObjLink>cid:big@example.com</b:ObjLink>\r\n";
    let mut body = b"--xx\r\nContent-Type: application/pidf+xml\r\nContent-ID: <root@x>\r\n\r\n".to_vec();
    body.extend(document(user, "At home", links).bytes());
    for (id, octets) in [("own_photo@example.com", &small), ("big@example.com", &large)] {
        body.extend(
            format!(
                "\r\n--xx\r\nContent-Type: image/jpeg\r\nContent-ID: <{id}>\r\n\
                 Content-Transfer-Encoding: binary\r\nContent-Disposition: icon\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(octets);
    }
    body.extend(b"\r\n--xx--\r\n");
    let kind = "multipart/related;type=\"application/pidf+xml\";start=\"<root@x>\";boundary=xx";
    let answer = Line::tcp(server.sip).request(&publish(user).body(kind, &body));
    assert_eq!(answer.status(), 200, "{answer}");
    (small, large)
}

/// A SUBSCRIBE of that phone to `to`.
pub(crate) fn subscribe(phone: &Phone, to: &str, lines: &[(&str, &str)]) -> Message {
    let request = Message::new(&format!("SUBSCRIBE sip:{to} SIP/2.0"))
        .with("Max-Forwards", "70")
        .with("From", &format!("<sip:{}@example.com>;tag=w{}", phone.user, serial()))
        .with("To", &format!("<sip:{to}>"))
        .with("Call-ID", &format!("sub-{}@there", serial()))
        .with("CSeq", "1 SUBSCRIBE")
        .with("Contact", &format!("<{}>", phone.uri()));
    let has = |name: &str| lines.iter().any(|(each, _)| *each == name);
    let request = if has("Event") { request } else { request.with("Event", "presence") };
    lines.iter().fold(request, |request, (name, value)| request.with(name, value))
}

/// The example SUBSCRIBE `number`, its Contact replaced by that phone's.
fn example_subscribe(phone: &Phone, number: &str) -> Message {
    harness::example(number).set("Contact", &format!("<{}>", phone.uri()))
}

/// Subscribes and gives the 200 and the NOTIFY that follows.
pub(crate) fn watch(server: &Server, phone: &mut Phone, request: &Message) -> (Message, Message) {
    let answer = Line::tcp(server.sip).request(request);
    assert_eq!(answer.status(), 200, "{answer}");
    (answer, phone.take())
}

/// A request in the dialog of `first` and its `answer`.
pub(crate) fn in_dialog(first: &Message, answer: &Message, cseq: u32) -> Message {
    let contact = answer.get("Contact").trim_matches(['<', '>']).to_owned();
    let mut request = first.clone().set("To", answer.get("To")).set("CSeq", &format!("{cseq} SUBSCRIBE"));
    request.start = format!("SUBSCRIBE {contact} SIP/2.0");
    request
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.body).into_owned()
}

/// T25
#[test]
fn a_publication_is_refreshed_under_the_tag_it_has_now_and_no_other() {
    let server = Server::start();
    let mut line = Line::tcp(server.sip);
    let first = line.request(&harness::example("071"));
    assert_eq!((first.status(), first.get("Expires")), (200, "3600"), "{first}");
    let tag = first.get("SIP-ETag").to_owned();
    let refresh = |tag: &str| harness::example("073").set("SIP-If-Match", tag);
    let second = line.request(&refresh(&tag));
    assert_eq!(second.status(), 200, "{second}");
    assert_ne!(second.get("SIP-ETag"), tag);
    assert_eq!(line.request(&refresh(&tag)).status(), 412);
    let both = line.request(&refresh(second.get("SIP-ETag")).with("SIP-If-Match", "other"));
    assert_eq!(both.status(), 400, "{both}");
    let brief = line.request(&refresh(second.get("SIP-ETag")).set("Expires", "5"));
    assert_eq!((brief.status(), brief.get("Min-Expires")), (423, "60"));
    let removed = line.request(&refresh(second.get("SIP-ETag")).set("Expires", "0"));
    assert_eq!((removed.status(), removed.get("Expires")), (200, "0"));
    assert_eq!(line.request(&refresh(second.get("SIP-ETag"))).status(), 412);
}

#[test]
fn a_publish_that_can_t_be_is_refused_with_what_it_is() {
    let server = Server::start();
    let mut line = Line::tcp(server.sip);
    let example = harness::example("071");
    let mut elsewhere = example.clone();
    elsewhere.start = "PUBLISH sip:example.com SIP/2.0".to_owned();
    for (request, status) in [
        (example.clone().without("Event"), 489),
        (example.clone().set("Event", "dialog"), 489),
        (example.clone().set("Content-Type", "text/plain"), 415),
        (harness::example("073").without("SIP-If-Match"), 400),
        (example.clone().body(PIDF, b"<presence"), 400),
        (elsewhere, 404),
    ] {
        let answer = line.request(&request);
        assert_eq!(answer.status(), status, "{request}{answer}");
    }
    assert_eq!(line.request(&example.without("Event")).get("Allow-Events"), "presence, presence.winfo, reg");
}

/// T17: 050 -> the shape of 053.
#[test]
fn who_takes_parts_gets_the_photo_beside_the_document_and_another_as_a_link() {
    for (number, kind, namespace) in [
        ("050", "application/cpim-pidf+xml", "urn:ietf:params:xml:ns:cpim-pidf"),
        ("051", PIDF, "urn:ietf:params:xml:ns:pidf"),
    ] {
        let server = Server::with(&["domain=pres.example.com"]);
        let (small, large) = publish_photos(&server, "john@pres.example.com");
        let mut phone = Phone::tcp("bob");
        let request = example_subscribe(&phone, number)
            .set("Accept-Encoding", &format!("identity;length=max+{}", small.len() + 4096));
        let (answer, notify) = watch(&server, &mut phone, &request);
        assert_eq!(answer.get("Expires"), "7200");
        assert_eq!(notify.request_uri(), phone.uri());
        assert!(notify.get("From").starts_with("<sip:john@pres.example.com>;tag="), "{notify}");
        assert!(answer.get("To").ends_with(param(notify.get("From"), "tag").unwrap()));
        assert_eq!(notify.get("To"), request.get("From"));
        assert_eq!(notify.get("Call-ID"), request.get("Call-ID"));
        assert_eq!(notify.get("Event"), "presence");
        assert!(notify.get("Subscription-State").starts_with("active;expires="), "{notify}");
        assert!(notify.get("Content-Type").starts_with("multipart/related;"), "{notify}");
        assert_eq!(param(notify.get("Content-Type"), "type"), Some(kind));
        let parts = parts(&notify);
        assert_eq!(parts.len(), 3);
        assert!(parts[0].get("Content-Type").starts_with(kind), "{}", parts[0]);
        assert_eq!(param(notify.get("Content-Type"), "start"), Some(parts[0].get("Content-ID")));
        assert!(text(&parts[0]).contains(namespace) && text(&parts[0]).contains("cid:own_photo@example.com"));
        assert_eq!((parts[1].get("Content-Type"), &parts[1].body), ("image/jpeg", &small));
        assert_eq!(parts[1].get("Content-ID"), "<own_photo@example.com>");
        assert!(parts[2].body.len() < large.len(), "it is smaller, or a link");
        assert!(notify.body.len() <= small.len() + 4096);
    }
}

/// What costs is done for the ways there are, not for the watchers.
#[test]
fn a_document_is_fitted_once_for_all_watchers_whose_terminals_are_alike() {
    let server = Server::with(&["domain=pres.example.com"]);
    let (small, _) = publish_photos(&server, "john@pres.example.com");
    let room = small.len() + 4096;
    let mut told = Vec::new();
    for number in 0..12 {
        let mut phone = Phone::tcp(&format!("watcher{number}"));
        let coding = format!("identity;length=max+{}", room - number % 2);
        let request = example_subscribe(&phone, "051").set("Accept-Encoding", &coding);
        told.push(watch(&server, &mut phone, &request).1.body.len());
    }
    assert!(told.iter().all(|octets| *octets <= room), "{told:?}");
    assert_eq!(server.metric("bespoke_plans_total{verdict=\"adapted\"}"), 2);
}

/// CPI.md §5: a link's part is looked for in the whole message, and of alternatives each watcher gets the one he takes.
#[test]
fn what_is_published_deeper_in_the_message_is_found_by_its_content_id() {
    let server = Server::start();
    let jpeg = parts(&harness::example("054"))[1].body.clone();
    let png = harness::data("images/astronaut_pal_800x600.png");
    let links = "<b:ObjLink>cid:deep@x</b:ObjLink>\r\n<b:ObjLink>cid:either@x</b:ObjLink>\r\n";
    let part = |kind: &str, id: &str, octets: &[u8]| {
        let mut part = format!("\r\n--in\r\nContent-Type: {kind}\r\nContent-ID: <{id}>\r\n\r\n").into_bytes();
        part.extend(octets);
        part
    };
    let mut body = b"--out\r\nContent-Type: application/pidf+xml\r\n\r\n".to_vec();
    body.extend(document("john@example.com", "Hi", links).bytes());
    body.extend(b"\r\n--out\r\nContent-Type: multipart/mixed;boundary=in\r\n\r\n");
    body.extend(part("image/jpeg", "deep@x", &jpeg));
    body.extend(b"\r\n--in--\r\n--out\r\nContent-Type: multipart/alternative;boundary=in\r\n\r\n");
    body.extend(part("image/jpeg", "either@x", &jpeg));
    body.extend(part("image/png", "either@x", &png));
    body.extend(b"\r\n--in--\r\n--out--\r\n");
    let kind = "multipart/related;type=\"application/pidf+xml\";boundary=out";
    let answer = Line::tcp(server.sip).request(&publish("john@example.com").body(kind, &body));
    assert_eq!(answer.status(), 200, "{answer}");

    let told = |accept: &str| {
        let mut phone = Phone::tcp("bob");
        let request = subscribe(&phone, "john@example.com", &[("Accept", accept)]);
        watch(&server, &mut phone, &request).1
    };
    let all = told("application/pidf+xml, multipart/related, image/png;q=0.9, image/jpeg;q=0.5");
    let shown = parts(&all);
    assert_eq!((shown[1].get("Content-ID"), &shown[1].body), ("<deep@x>", &jpeg));
    let body = text(&all);
    assert!(body.contains("Content-ID: <either@x>") && body.contains("image/png"), "{body}");
    let links = told("application/pidf+xml, image/png");
    let body = text(&links);
    assert_eq!(body.matches("ContentType=\"image/png\">http://").count(), 2, "{body}");
    for (at, width) in [(1, 64), (2, 800)] {
        let url = body.split("http://").nth(at).unwrap().split('<').next().unwrap();
        let fetched = http::get(server.http, &format!("http://{url}"), &[]);
        assert_eq!(picture(&fetched.body).width, width);
    }
}

/// T17: 055 -> the shapes of 056 and 057.
#[test]
fn who_takes_no_parts_gets_direct_links_with_their_type() {
    let server = Server::with(&["domain=pres.example.com"]);
    let (small, large) = publish_photos(&server, "john@pres.example.com");
    for accept in ["application/cpim-pidf+xml", PIDF] {
        let mut phone = Phone::tcp("bob");
        let request = example_subscribe(&phone, "055").set("Accept", &format!("{accept}, image/*"));
        let (_, notify) = watch(&server, &mut phone, &request);
        assert!(notify.get("Content-Type").starts_with(accept), "{notify}");
        let text = text(&notify);
        assert!(!text.contains("cid:"), "{text}");
        let links: Vec<&str> = text.split("<b:ObjLink").skip(1).collect();
        assert_eq!(links.len(), 2, "{text}");
        for (link, original) in links.iter().zip([&small, &large]) {
            assert!(link.starts_with(" ContentType=\"image/jpeg\">http://"), "{link}");
            let url = link.split('>').nth(1).unwrap().split('<').next().unwrap();
            let fetched = http::get(server.http, url, &[]);
            assert_eq!(&fetched.body, original);
        }
    }
}

/// 022 -> 023.
#[test]
fn a_photo_is_made_to_fit_what_the_subscribe_says() {
    let server = Server::with(&["domain=example.org"]);
    publish_photos(&server, "alice@example.org");
    let mut phone = Phone::tcp("john");
    let request = example_subscribe(&phone, "022");
    let (_, notify) = watch(&server, &mut phone, &request);
    assert!(notify.body.len() <= 8192);
    let parts = parts(&notify);
    for part in &parts[1..] {
        if part.get("Content-Type") == "image/jpeg" {
            let shown = picture(&part.body);
            assert!(shown.width <= 64 && shown.height <= 64 && part.body.len() <= 4096);
        } else {
            assert!(part.get("Content-Type").starts_with("message/external-body"), "{part}");
        }
    }
    assert_eq!(picture(&parts[1].body).width, 64);
}

#[test]
fn a_watcher_hears_of_what_is_published_and_of_its_end() {
    let server = Server::with(&["presence.notify_every=1s"]);
    let mut phone = Phone::tcp("bob");
    let request = subscribe(&phone, "john@example.com", &[("Accept", PIDF)]);
    let (_, closed) = watch(&server, &mut phone, &request);
    assert!(text(&closed).contains("<basic>closed</basic>"), "{closed}");
    let published = note(&server, "john@example.com", "At home");
    assert!(text(&phone.take()).contains("At home"));
    let gone =
        publish("john@example.com").with("SIP-If-Match", published.get("SIP-ETag")).set("Expires", "0");
    assert_eq!(Line::tcp(server.sip).request(&gone).status(), 200);
    assert!(text(&phone.take()).contains("<basic>closed</basic>"));
}

#[test]
fn a_subscription_is_refreshed_fetched_and_ended_each_with_its_notify() {
    let server = Server::start();
    note(&server, "john@example.com", "At home");
    let mut phone = Phone::tcp("bob");
    let request = subscribe(&phone, "john@example.com", &[("Accept", PIDF), ("Expires", "600")]);
    let (answer, first) = watch(&server, &mut phone, &request);
    let cseq = |notify: &Message| notify.get("CSeq").split(' ').next().unwrap().parse::<u32>().unwrap();
    let (_, second) = watch(&server, &mut phone, &in_dialog(&request, &answer, 2));
    assert_eq!(cseq(&second), cseq(&first) + 1);
    assert!(text(&second).contains("At home"));
    let mut line = Line::tcp(server.sip);
    assert_eq!(line.request(&in_dialog(&request, &answer, 2)).status(), 500, "CSeq must rise");
    let other = in_dialog(&request, &answer, 3).set("Event", "reg");
    assert_eq!(line.request(&other).status(), 403, "no second subscription in a dialog");
    let (ended, last) = watch(&server, &mut phone, &in_dialog(&request, &answer, 4).set("Expires", "0"));
    assert_eq!(ended.get("Expires"), "0");
    assert_eq!(last.get("Subscription-State"), "terminated;reason=timeout");
    assert_eq!(line.request(&in_dialog(&request, &answer, 5)).status(), 481);

    let fetch = subscribe(&phone, "john@example.com", &[("Accept", PIDF), ("Expires", "0")]);
    let (_, fetched) = watch(&server, &mut phone, &fetch);
    assert_eq!(fetched.get("Subscription-State"), "terminated;reason=timeout");
    assert!(text(&fetched).contains("At home"));
}

/// T17
#[test]
fn who_takes_no_presence_document_or_names_no_event_is_refused() {
    let server = Server::start();
    let phone = Phone::tcp("bob");
    let mut line = Line::tcp(server.sip);
    let john = "john@example.com";
    for (request, status) in [
        (subscribe(&phone, john, &[("Accept", "text/html")]), 406),
        (subscribe(&phone, john, &[]).without("Event"), 489),
        (subscribe(&phone, john, &[("Expires", "5")]), 423),
        (subscribe(&phone, john, &[]).without("Contact"), 400),
        (subscribe(&phone, john, &[]).set("To", "<sip:john@example.com>;tag=p0123456789abcdef"), 481),
    ] {
        let answer = line.request(&request);
        assert_eq!(answer.status(), status, "{request}{answer}");
    }
}

#[test]
fn a_watcher_who_is_gone_is_forgotten() {
    let server = Server::start();
    let mut phone = Phone::tcp("bob");
    let request = subscribe(&phone, "john@example.com", &[("Accept", PIDF)]);
    let answer = Line::tcp(server.sip).request(&request);
    let notify = phone.receive();
    phone.respond(&notify.answer(481, "Subscription Does Not Exist"));
    let count = || http::fetch(server.admin, "GET", "/api/v1/presence", &[]);
    harness::eventually("the subscription is removed", || text(&count()).contains("\"subscriptions\":0"));
    assert_eq!(Line::tcp(server.sip).request(&in_dialog(&request, &answer, 2)).status(), 481);
}

#[test]
fn rules_are_kept_and_hold_for_who_watches_already() {
    let server = Server::with(&["presence.default=pending", "presence.notify_every=1s"]);
    note(&server, "john@example.com", "At home");
    let mut phone = Phone::tcp("bob");
    let request = subscribe(&phone, "john@example.com", &[("Accept", PIDF)]);
    let (_, pending) = watch(&server, &mut phone, &request);
    assert!(pending.get("Subscription-State").starts_with("pending;expires="), "{pending}");
    assert!(!text(&pending).contains("At home"), "{pending}");
    let put = |rules: &str| {
        let path = "/api/v1/presence/john@example.com/rules";
        let answer = http::send(server.admin, "PUT", path, &[], rules.as_bytes());
        assert_eq!(answer.status(), 200, "{answer}");
    };
    put(r#"[{"who":"bob@example.com","give":"allow"}]"#);
    let active = phone.take();
    assert!(active.get("Subscription-State").starts_with("active;"), "{active}");
    assert!(text(&active).contains("At home"));
    put(r#"[{"who":"example.com","give":"polite-block"}]"#);
    let polite = phone.take();
    assert!(polite.get("Subscription-State").starts_with("active;"));
    assert!(text(&polite).contains("<basic>closed</basic>") && !text(&polite).contains("At home"));
    put(r#"[{"who":"*","give":"block"}]"#);
    assert_eq!(phone.take().get("Subscription-State"), "terminated;reason=rejected");
    let again = Line::tcp(server.sip).request(&subscribe(&phone, "john@example.com", &[("Accept", PIDF)]));
    assert_eq!(again.status(), 403);
}

/// 075
#[test]
fn the_presentity_hears_who_waits() {
    let server = Server::with(&["presence.default=pending", "presence.notify_every=1s"]);
    let mut john = Phone::tcp("john");
    let winfo = subscribe(&john, "john@example.com", &[("Event", "presence.winfo")]);
    let (_, nobody) = watch(&server, &mut john, &winfo);
    assert_eq!(nobody.get("Content-Type"), "application/watcherinfo+xml");
    assert!(text(&nobody).contains("version=\"0\"") && text(&nobody).contains("state=\"full\""));
    let mut bob = Phone::tcp("bob");
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    watch(&server, &mut bob, &request);
    let waits = text(&john.take());
    for piece in [
        "version=\"1\"",
        "state=\"partial\"",
        "resource=\"sip:john@example.com\"",
        "status=\"pending\"",
        "event=\"subscribe\"",
        ">sip:bob@example.com<",
    ] {
        assert!(waits.contains(piece), "{piece} in {waits}");
    }
    let others =
        Line::tcp(server.sip).request(&subscribe(&bob, "john@example.com", &[("Event", "presence.winfo")]));
    assert_eq!(others.status(), 403, "nobody else hears it");
}

/// 074
#[test]
fn who_follows_registrations_hears_of_each() {
    let server = Server::with(&["presence.notify_every=1s"]);
    let mut john = Phone::tcp("john");
    let follow = subscribe(&john, "john@example.com", &[("Event", "reg")]);
    let (_, none) = watch(&server, &mut john, &follow);
    assert_eq!(none.get("Content-Type"), "application/reginfo+xml");
    assert!(text(&none).contains("state=\"init\""), "{none}");
    let phone = Phone::tcp("john");
    phone.register(
        &server,
        &[("Contact", &format!("<{}>;type=\"image/gif\";q=0.5;expires=600", phone.uri()))],
    );
    let told = text(&john.take());
    for piece in ["state=\"partial\"", "event=\"registered\"", &phone.uri(), "name=\"type\""] {
        assert!(told.contains(piece), "{piece} in {told}");
    }
}

/// 076, 077
#[test]
fn who_puts_changes_together_gets_them_alone() {
    let server = Server::with(&["presence.notify_every=1s"]);
    let published = note(&server, "john@example.com", &"At home, where it is quiet. ".repeat(20));
    let mut phone = Phone::tcp("bob");
    let accept = "application/pidf+xml;q=0.3, application/pidf-diff+xml";
    let request = subscribe(&phone, "john@example.com", &[("Accept", accept)]);
    let (_, full) = watch(&server, &mut phone, &request);
    assert_eq!(full.get("Content-Type"), "application/pidf-diff+xml");
    assert!(text(&full).contains("pidf-full") && text(&full).contains("version=\"1\""), "{full}");
    let closed = document("john@example.com", &"At home, where it is quiet. ".repeat(20), "")
        .replace(">open<", ">closed<");
    let change = publish("john@example.com")
        .with("SIP-If-Match", published.get("SIP-ETag"))
        .body(PIDF, closed.as_bytes());
    assert_eq!(Line::tcp(server.sip).request(&change).status(), 200);
    let diff = phone.take();
    assert!(text(&diff).contains("pidf-diff") && text(&diff).contains("version=\"2\""), "{diff}");
    assert!(text(&diff).contains("closed") && diff.body.len() < full.body.len());
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let mut server = Server::with(&["presence.notify_every=1s"]);
    let published = note(&server, "john@example.com", "At home");
    let mut phone = Phone::udp("bob");
    let request = subscribe(&phone, "john@example.com", &[("Accept", PIDF)]);
    let (answer, first) = watch(&server, &mut phone, &request);
    server.crash_and_restart();
    // What came right before the end is told again: its NOTIFY may have been lost.
    let again = phone.take();
    assert!(text(&again).contains("At home"), "{again}");
    let cseq = |notify: &Message| notify.get("CSeq").split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(cseq(&again) > cseq(&first));
    let change = publish("john@example.com")
        .with("SIP-If-Match", published.get("SIP-ETag"))
        .body(PIDF, document("john@example.com", "Away", "").as_bytes());
    assert_eq!(Line::tcp(server.sip).request(&change).status(), 200, "the publication is there");
    assert!(text(&phone.take()).contains("Away"));
    let refreshed = Line::tcp(server.sip).request(&in_dialog(&request, &answer, 2));
    assert_eq!(refreshed.status(), 200, "the dialog goes on");
}

#[test]
fn two_publishes_under_one_tag_are_one_and_a_refusal() {
    let server = Server::start();
    let tag = note(&server, "john@example.com", "At home").get("SIP-ETag").to_owned();
    let refresh = || publish("john@example.com").with("SIP-If-Match", &tag);
    let mut lines = [Line::tcp(server.sip), Line::tcp(server.sip)];
    for line in &mut lines {
        let request = line.with_via(&refresh());
        line.send(&request.octets());
    }
    let mut statuses = lines.map(|mut line| line.final_response().status());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[test]
fn hostile_documents_are_refused_and_stop_nothing() {
    let server = Server::start();
    let mut line = Line::tcp(server.sip);
    let bomb = "<!DOCTYPE p [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><presence \
                xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:j@x\"><note>&b;</note></presence>";
    let deep = format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:j@x\">{}{}</presence>",
        "<a>".repeat(1000),
        "</a>".repeat(1000)
    );
    let redefined = "<presence xmlns=\"urn:x\" entity=\"pres:j@x\"/>";
    let large = document("john@example.com", &"x".repeat(300 * 1024), "");
    for (body, status) in [(bomb, 400), (&*deep, 413), (redefined, 400), (&*large, 413)] {
        let answer = line.request(&publish("john@example.com").body(PIDF, body.as_bytes()));
        assert_eq!(answer.status(), status, "{answer}");
    }
    let dangling = document("john@example.com", "x", "<b:ObjLink>cid:nowhere@x</b:ObjLink>");
    let answer = line.request(&publish("john@example.com").body(PIDF, dangling.as_bytes()));
    assert_eq!(answer.status(), 200);
    let mut phone = Phone::tcp("bob");
    let accept = [("Accept", "application/pidf+xml, multipart/related, image/jpeg")];
    let request = subscribe(&phone, "john@example.com", &accept);
    let (_, notify) = watch(&server, &mut phone, &request);
    assert_eq!(notify.get("Content-Type"), PIDF, "an object that is missing is no part");
}

#[test]
fn switched_off_it_is_the_phones_business() {
    let server = Server::with(&["presence.enabled=false"]);
    let mut john = Phone::tcp("john");
    john.register(&server, &[]);
    let bob = Phone::tcp("bob");
    let mut line = Line::tcp(server.sip);
    let request = subscribe(&bob, "john@example.com", &[("Accept", PIDF)]);
    line.send(&line.with_via(&request).octets());
    assert_eq!(john.take().method(), "SUBSCRIBE");
    assert_eq!(line.final_response().status(), 200);
}
