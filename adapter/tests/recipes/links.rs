//! Links: T6, T7, T9, T10, T15, and what is refused without them.

use adapter::{Action, Linking, Settings};

use super::*;

const UNKNOWN: Option<&Cpi> = None;

#[test]
fn t6_a_phone_of_texts_gets_the_link_as_a_line_of_text() {
    let got = linked(&accepts("text/plain"), &entity("020")).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "text/plain; charset=utf-8");
    assert_eq!(got.body(), "Sunset (image/gif, 4 KB): https://store.example.com/c/token-0000000000");
    assert_eq!(got.stored[0].content, entity("020").body);
    assert!(!got.stored[0].fixed);
}

#[test]
fn t6_without_a_store_it_is_refused_with_the_types_only() {
    let refusal = to(&accepts("text/plain;length=max+4096"), &entity("020")).map(|_| ()).unwrap_err();
    assert_eq!(refusal.status, 415);
    assert_eq!(refusal.accept.as_deref(), Some("text/plain"));
    assert!(refusal.warning.contains("image/gif"));
}

#[test]
fn t7_a_limit_of_no_octets_means_links_only() {
    let cpi = accepts("text/plain, message/external-body, image/gif;length=max+0");
    let got = linked(&cpi, &entity("020")).unwrap();
    assert_eq!(
        got.text("content-type").unwrap(),
        "message/external-body; access-type=\"URL\"; expiration=\"Mon, 24 Jun 2030 09:00:00 GMT\"; URL=\"https://store.example.com/c/token-0000000000\"; size=3073"
    );
    let id = format!("<orig-{}@proxy.example.com>", &sha1(&entity("020").body)[..16]);
    assert_eq!(
        got.body(),
        format!(
            "Content-Type: image/gif\r\nContent-ID: {id}\r\nContent-Disposition: render\r\nContent-Description: Sunset\r\n\r\n"
        )
    );
    assert_eq!(got.text("mime-version").unwrap(), "1.0");
    assert_eq!(got.text("content-description"), None);
    assert_eq!(
        got.text("content-adapted").unwrap(),
        "proxy.example.com;ops=\"indirect\";type=\"image/gif\";length=3073;media-pix-x=320;media-pix-y=240"
    );
    assert_eq!(sha1(&got.stored[0].content), "3b0df19df882945e936f385c840baf5fc85f97a1");
}

#[test]
fn t7_an_answer_is_read_back_as_it_was_meant() {
    let cpi = accepts("message/external-body, image/gif;length=max+0");
    let got = linked(&cpi, &entity("020")).unwrap();
    let described = serde_json::to_value(adapter::mime::describe(&got.entity, &settings().guards)).unwrap();
    assert_eq!(described["mime"]["external"]["size"], 3073);
    assert_eq!(described["mime"]["external"]["inner-type"], "image/gif");
    assert!(described.get("diag").is_none());
}

#[test]
fn t9_what_must_not_be_changed_is_linked_with_its_hash() {
    let cpi = accepts("image/gif;media-pix-x=max+160, message/external-body");
    let got = linked(&cpi, &entity("031")).unwrap();
    let content_type = got.text("content-type").unwrap();
    assert!(
        content_type.ends_with("size=3073; hash=3b0df19df882945e936f385c840baf5fc85f97a1"),
        "{content_type}"
    );
    assert!(got.stored[0].fixed);
    assert_eq!(got.text("cache-control").unwrap(), "no-transform");
}

#[test]
fn t9_no_store_forbids_the_link_too() {
    let mut from = entity("031");
    from.fields[0] = Field::new("Cache-Control", "no-transform, no-store");
    let cpi = accepts("image/gif;media-pix-x=max+160, message/external-body");
    assert_eq!(linked(&cpi, &from).map(|_| ()).unwrap_err().status, 415);
}

fn small_and_secure(external: bool) -> Cpi {
    let types = if external {
        "message/external-body, multipart/signed, application/pkcs7-mime"
    } else {
        "multipart/signed, application/pkcs7-mime"
    };
    accept(&[("Accept-Encoding", "identity;length=max+1024"), ("Accept", types)])
}

#[test]
fn t10_signed_and_encrypted_bodies_are_linked_as_a_whole() {
    let cases = [
        ("032", 2465, "c974e61fd29c11beba657f9ef85bf6a1ed61dc2e", "boundary=sg032"),
        (
            "033",
            2048,
            "fa23edc0c02599f17f2e4a86be1c93765c88cf61",
            "smime-type=enveloped-data; name=smime.p7m",
        ),
    ];
    for (number, size, hash, inner) in cases {
        let from = entity(number);
        let got = linked(&small_and_secure(true), &from).unwrap();
        let content_type = got.text("content-type").unwrap();
        assert!(content_type.ends_with(&format!("size={size}; hash={hash}")), "{content_type}");
        assert!(
            got.body().starts_with("Content-Type: ") && got.body().lines().next().unwrap().ends_with(inner)
        );
        assert_eq!((&got.stored[0].content, got.stored[0].fixed), (&from.body, true));
        assert_eq!(linked(&small_and_secure(false), &from).map(|_| ()).unwrap_err().status, 413);
    }
}

#[test]
fn signed_and_encrypted_bodies_that_fit_are_identical() {
    let cpi = accepts("multipart/signed, application/pkcs7-mime");
    for number in ["032", "033"] {
        let from = entity(number);
        assert!(linked(&cpi, &from).unwrap().is_identical(&from));
    }
}

/// The head of 036 as it would go out.
fn udp(number: &str) -> Budget {
    let (fields, _) = message(number);
    let own = |field: &&Field| !Entity::describes(&field.name);
    let lines: u64 = fields.iter().filter(own).map(Field::octets).sum();
    Budget { message: Some(1300), head: lines + 38 + 2 }
}

#[test]
fn t15_1300_octets_pass_and_a_longer_text_becomes_a_link() {
    let fits = entity("035");
    assert!(deliver(&fits, UNKNOWN, &with_store(), udp("035")).unwrap().is_identical(&fits));
    let from = entity("036");
    let got = deliver(&from, UNKNOWN, &with_store(), udp("036")).unwrap();
    assert_eq!(got.report.parts[0].action, Action::LinkText);
    assert_eq!(got.stored[0].content, from.body, "text is never cut");
    let external = accepts("text/plain, message/external-body");
    let got = deliver(&from, Some(&external), &with_store(), udp("036")).unwrap();
    assert_eq!(got.report.parts[0].action, Action::Link);
    let fields: u64 = got.entity.fields.iter().map(Field::octets).sum();
    assert!(got.entity.body.len() as u64 + fields + udp("036").head <= 1300);
}

#[test]
fn t15_without_a_store_it_is_513() {
    let refusal = deliver(&entity("036"), UNKNOWN, &settings(), udp("036")).map(|_| ()).unwrap_err();
    assert_eq!(refusal.status, 513);
    assert!(refusal.warning.contains("1300"));
}

#[test]
fn a_notify_is_never_refused() {
    let notify = Settings { method: adapter::Method::Notify, ..settings() };
    let from = entity("020");
    assert!(
        deliver(&from, Some(&accepts("text/plain")), &notify, Budget::default()).unwrap().is_identical(&from)
    );
}

#[test]
fn links_only_links_what_would_have_fitted() {
    let always = Settings { linking: Linking::Always, ..with_store() };
    let cpi = accepts("text/plain, image/gif, message/external-body");
    let got = deliver(&entity("020"), Some(&cpi), &always, Budget::default()).unwrap();
    assert_eq!(got.report.parts[0].action, Action::Link);
    let text = entity("037");
    assert!(deliver(&text, Some(&cpi), &always, Budget::default()).unwrap().is_identical(&text));
}

#[test]
fn an_unknown_terminal_gets_pictures_as_they_are_or_as_links_by_policy() {
    let from = entity("020");
    assert!(deliver(&from, UNKNOWN, &with_store(), Budget::default()).unwrap().is_identical(&from));
    let policy = Settings { linking: Linking::UnknownTerminal, ..with_store() };
    let got = deliver(&from, UNKNOWN, &policy, Budget::default()).unwrap();
    assert_eq!(got.report.parts[0].action, Action::Link);
    let text = entity("037");
    assert!(deliver(&text, UNKNOWN, &policy, Budget::default()).unwrap().is_identical(&text));
}

#[test]
fn a_terminal_of_which_nothing_is_known_may_choose_between_two_kinds_of_links() {
    let policy = Settings { linking: Linking::UnknownTerminal, ..with_store() };
    let got = deliver(&entity("020"), UNKNOWN, &policy, Budget::default()).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "multipart/alternative; boundary=bespoke-link");
    assert_eq!(got.text("mime-version").unwrap(), "1.0");
    let described = serde_json::to_value(adapter::mime::describe(&got.entity, &settings().guards)).unwrap();
    let parts = described["mime"]["parts"].as_array().unwrap();
    let kinds: Vec<_> = parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text/plain", "message/external-body"], "the plainest first");
    assert_eq!(
        (&parts[1]["external"]["size"], &parts[1]["external"]["inner-type"]),
        (&3073.into(), &"image/gif".into())
    );
    assert!(
        got.body()
            .contains("\r\n\r\nSunset (image/gif, 4 KB): https://store.example.com/c/token-0000000000\r\n--")
    );
    assert_eq!(got.stored.len(), 1, "both name the same link");
    let fixed = deliver(&entity("031"), UNKNOWN, &policy, Budget::default()).unwrap();
    assert!(fixed.body().contains("; hash=3b0df19df882945e936f385c840baf5fc85f97a1\r\n"), "{}", fixed.body());
}

#[test]
fn what_stands_inside_an_external_body_is_ascii() {
    let cpi = accepts("message/external-body, image/gif;length=max+0");
    let mut from = entity("020");
    from.fields.retain(|field| !field.is("content-description") && !field.is("content-disposition"));
    from.fields.push(Field::new("Content-Description", "Größe"));
    from.fields.push(Field::new("Content-Disposition", "attachment; filename=\"Größe.gif\""));
    let got = linked(&cpi, &from).unwrap();
    assert!(got.entity.body.is_ascii(), "{}", got.body());
    assert!(got.body().contains("Content-Description: =?utf-8?B?R3LDtsOfZQ==?=\r\n"));
    assert!(got.body().contains("; filename*=utf-8''Gr%C3%B6%C3%9Fe.gif\r\n"));
}

#[test]
fn a_received_link_becomes_text_for_who_takes_no_external_bodies() {
    let got = linked(&accepts("text/plain"), &entity("041")).unwrap();
    assert!(got.stored.is_empty(), "it is never fetched");
    assert!(got.body().contains(
        "Kevin getting dunked in the wading pool (image/png, 229 KB): http://www.example.net/company_picnic/image1.png"
    ));
    let same = entity("041");
    assert!(linked(&accepts("text/plain, message/external-body"), &same).unwrap().is_identical(&same));
}

#[test]
fn a_full_store_means_the_next_best_thing() {
    let cpi = accepts("text/plain, message/external-body, image/gif;media-pix-x=max+160;q=0.1");
    let always = Settings { linking: Linking::Always, ..with_store() };
    let made = plan(&entity("020"), Some(&cpi), &always, Budget::default());
    assert_eq!(made.links().len(), 1);
    let Built::Again(next) = made.build(Vec::new(), Vec::new()).unwrap() else { panic!() };
    assert!(next.links().is_empty());
    assert_eq!(next.jobs().len(), 1);
    assert_eq!(finish(&entity("020"), *next).unwrap().report.parts[0].action, Action::Scale);
}

#[test]
fn at_the_deadline_what_is_not_made_becomes_a_link_and_says_why() {
    let cpi = registered("005");
    let made = plan(&entity("020"), Some(&cpi), &with_store(), Budget::default());
    let stopped = made.jobs().iter().map(|job| job.run(&|| true)).collect();
    let fallback = made.fallback(stopped);
    assert!(fallback.jobs().is_empty() && fallback.report().deadline);
    // 005 holds the picture in its second tier, so it stays.
    assert_eq!(fallback.verdict(), Verdict::Unchanged);
    let strict =
        plan(&entity("020"), Some(&registered("006")), &with_store(), Budget::default()).fallback(Vec::new());
    assert_eq!(strict.report().parts[0].action, Action::LinkText);
    assert!(strict.report().parts[0].why.contains("deadline"));
}

#[test]
fn a_link_with_a_quote_in_it_is_not_written() {
    let made = plan(&entity("020"), Some(&accepts("text/plain")), &with_store(), Budget::default());
    let links =
        made.links().iter().map(|request| Link { url: "http://h/\"\r\n".into(), ..link(request) }).collect();
    assert_eq!(made.build(Vec::new(), links).map(|_| ()).unwrap_err().status, 415);
}

#[test]
fn a_link_to_what_must_not_be_changed_serves_the_picture_and_not_its_base64() {
    use base64::Engine;
    let gif = entity("020").body;
    let encoded = base64::engine::general_purpose::STANDARD.encode(&gif);
    let body = format!(
        "--b\r\nContent-Type: image/gif\r\nCache-Control: no-transform\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n--b--\r\n"
    );
    let from = of("multipart/mixed; boundary=b", body);
    let cpi = accepts("text/plain, message/external-body, image/gif;length=max+0");
    let got = linked(&cpi, &from).unwrap();
    assert_eq!(got.stored.last().map(|request| (&request.content, request.fixed)), Some((&gif, true)));
    assert!(got.body().contains(&format!("size=3073; hash={}", sha1(&gif))), "{}", got.body());
    assert!(!got.body().contains("base64"), "{}", got.body());
}

#[test]
fn of_a_notify_that_can_not_be_taken_whole_the_root_document_comes_alone() {
    let notify = Settings { method: adapter::Method::Notify, ..settings() };
    let from = entity("023");
    for accept in ["application/pidf+xml", "application/pidf+xml, multipart/mixed;q=0, multipart/related;q=0"]
    {
        let got = deliver(&from, Some(&accepts(accept)), &notify, Budget::default()).unwrap();
        assert_eq!(got.text("content-type").unwrap().split(';').next(), Some("application/pidf+xml"));
        assert!(got.body().trim_end().ends_with("presence>"), "{}", got.body());
        assert!(got.text("content-adapted").unwrap().contains("drop\""));
    }
    let none = accepts("application/pidf+xml;length=max+10");
    assert!(deliver(&from, Some(&none), &notify, Budget::default()).unwrap().is_identical(&from));
    let small = Budget { message: Some(300), head: 200 };
    let got = deliver(&from, Some(&accepts("application/pidf+xml")), &notify, small).unwrap();
    assert!(got.is_identical(&from), "what not even the root alone would help goes out as it came");
}
