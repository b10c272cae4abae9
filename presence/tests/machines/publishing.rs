use bytes::Bytes;
use presence::compositor::{Body, Limits, Published, publish};
use presence::publication::{Object, Publications};
use presence::refusal::Refusal;
use presence::time::Moment;
use sip::HeaderId;

use super::request;

const NOW: Moment = Moment::from_seconds(1000);

fn document(text: &'static str) -> Body {
    Body::Document { document: text.into(), objects: Vec::new() }
}

fn photo(digest: u8) -> (Object, Bytes) {
    (Object { id: "photo@x".into(), digest: [digest; 32], octets: 3 }, Bytes::from_static(b"jpg"))
}

fn ask(lines: &str, body: Body, current: &Publications, tag: u64) -> Result<Published, Refusal> {
    let limits = Limits { publications: 2, objects: 1, octets: 100, ..Limits::default() };
    publish(&request("PUBLISH", &format!("Event: presence\r\n{lines}")), body, current, NOW, tag, &limits)
}

fn first() -> Publications {
    ask("", document("one"), &Publications::default(), 0xa).unwrap().next
}

fn field(published: &Published, id: HeaderId) -> String {
    let value = published.answer.fields.iter().find(|(each, _)| *each == id).unwrap();
    String::from_utf8(value.1.clone()).unwrap()
}

#[test]
fn a_new_publication_gets_a_tag_and_the_time_there_is_for_it() {
    let published = ask("", document("one"), &Publications::default(), 0xa).unwrap();
    assert_eq!(field(&published, HeaderId::SipEtag), "000000000000000a");
    assert_eq!(field(&published, HeaderId::Expires), "3600");
    assert!(published.changed);
    assert_eq!((published.next.entries.len(), published.next.entries[0].expires_at), (1, 4600));
    let long = ask("Expires: 99999999999\r\n", document("x"), &Publications::default(), 1).unwrap();
    assert_eq!(field(&long, HeaderId::Expires), "86400");
}

#[test]
fn a_refresh_keeps_the_document_changes_the_tag_and_is_nobodys_news() {
    let published =
        ask("SIP-If-Match: 000000000000000a\r\nExpires: 60\r\n", Body::None, &first(), 0xb).unwrap();
    assert!(!published.changed);
    let entry = &published.next.entries[0];
    assert_eq!((entry.tag, &entry.document[..], entry.expires_at), (0xb, &b"one"[..], 1060));
    let gone = ask("SIP-If-Match: 000000000000000a\r\n", Body::None, &published.next, 0xc);
    assert_eq!(gone.unwrap_err(), Refusal::NoSuchTag);
}

#[test]
fn a_change_stays_where_it_was_and_an_end_leaves_the_others() {
    let two = ask("", document("two"), &first(), 0xb).unwrap().next;
    let changed = ask("SIP-If-Match: 000000000000000a\r\n", document("new"), &two, 0xc).unwrap();
    let texts: Vec<_> = changed.next.entries.iter().map(|entry| entry.document.clone()).collect();
    assert_eq!(texts, ["new", "two"]);
    assert!(changed.changed);
    let end = ask("SIP-If-Match: 000000000000000b\r\nExpires: 0\r\n", Body::None, &two, 0xd).unwrap();
    assert_eq!(end.next.entries.len(), 1);
    assert!(end.changed);
    assert_eq!(field(&end, HeaderId::Expires), "0");
    assert!(!field(&end, HeaderId::SipEtag).is_empty());
}

#[test]
fn steps_refuse_in_their_order() {
    let refusal = |lines: &str, body| ask(lines, body, &first(), 1).unwrap_err();
    let of = |lines: &str, body| {
        let limits = Limits::default();
        publish(&request("PUBLISH", lines), body, &first(), NOW, 1, &limits).unwrap_err()
    };
    assert_eq!(of("", Body::Unsupported), Refusal::BadEvent, "no Event");
    assert_eq!(of("Event: reg\r\n", Body::Unsupported), Refusal::BadEvent);
    let two = "SIP-If-Match: 000000000000000a, b\r\nExpires: 1\r\n";
    assert_eq!(refusal(two, Body::Unsupported).answer().status, 400);
    assert_eq!(refusal("SIP-If-Match: x\r\nExpires: 1\r\n", Body::Unsupported), Refusal::NoSuchTag);
    assert_eq!(refusal("Expires: 1\r\n", Body::Unsupported), Refusal::TooBrief { least: 60 });
    assert_eq!(refusal("Expires: soon\r\n", Body::Unsupported).answer().status, 400);
    assert_eq!(refusal("", Body::Unsupported).answer().status, 415);
    assert_eq!(refusal("", Body::None).answer().status, 400);
    assert_eq!(refusal("", Body::TooLarge).answer().status, 413);
    assert_eq!(refusal("", Body::Bad("why")).answer().reason, "why");
}

#[test]
fn what_is_shown_no_more_is_removed_and_what_is_known_is_not_stored_again() {
    let with = |photos| Body::Document { document: "d".into(), objects: photos };
    let one = ask("", with(vec![photo(1)]), &Publications::default(), 0xa).unwrap();
    assert_eq!((one.store.len(), one.remove.len()), (1, 0));
    let same = ask("SIP-If-Match: 000000000000000a\r\n", with(vec![photo(1)]), &one.next, 0xb).unwrap();
    assert_eq!((same.store.len(), same.remove.len()), (0, 0));
    let other = ask("SIP-If-Match: 000000000000000b\r\n", with(vec![photo(2)]), &same.next, 0xc).unwrap();
    assert_eq!((other.store.len(), &other.remove[..]), (1, &[[1; 32]][..]));
    let many = ask("", with(vec![photo(1), photo(2)]), &Publications::default(), 1);
    assert_eq!(many.unwrap_err(), Refusal::TooLarge);
    let long = Body::Document { document: vec![b'x'; 101].into(), objects: Vec::new() };
    assert_eq!(ask("", long, &Publications::default(), 1).unwrap_err(), Refusal::TooLarge);
}

#[test]
fn there_are_only_so_many_publications_and_those_that_ended_don_t_count() {
    let two = ask("", document("two"), &first(), 0xb).unwrap().next;
    assert_eq!(ask("", document("three"), &two, 0xc).unwrap_err().answer().status, 503);
    let mut old = two.clone();
    old.entries[0].expires_at = 999;
    let third = ask("", document("three"), &old, 0xc).unwrap();
    assert_eq!(third.next.entries.len(), 2);
    let stale = ask("SIP-If-Match: 000000000000000a\r\n", Body::None, &old, 0xd);
    assert_eq!(stale.unwrap_err(), Refusal::NoSuchTag, "its time is over");
}
