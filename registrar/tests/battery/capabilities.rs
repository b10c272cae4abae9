//! Where CPI lives, precedence and lifetime (CPI.md 1.7, L1 to L8).

use std::sync::Arc;

use crate::support::{House, example, now, register, register_for, request, response, uri};
use cpi::{Cpi, Interval, Source};
use registrar::{Binding, Profiles, Query, Sent};

const PHONE: &str = "Contact: <sip:john@192.0.2.7>";
const SENT: Sent = Sent { body: 3000, message: 4000 };

fn ranges(cpi: &Option<Arc<Cpi>>) -> Vec<String> {
    let media = cpi.as_ref().and_then(|cpi| cpi.media.as_ref());
    media.into_iter().flatten().map(|entry| entry.range.clone()).collect()
}

fn binding_at(house: &House, host: &str) -> Arc<Binding> {
    let all = house.bindings(0);
    Arc::clone(all.iter().find(|binding| binding.uri.host().unwrap().is(host)).unwrap())
}

#[tokio::test]
async fn contact_groups_replace_accept_for_that_contact_only_as_in_014() {
    let house = House::new();
    house.send(&request(&example("014-register-two-contacts")), 0).await;
    let (first, second) = (binding_at(&house, "192.0.2.7"), binding_at(&house, "192.0.2.8"));
    assert_eq!(ranges(&first.cpi), ["image/gif"]);
    assert_eq!(ranges(&second.cpi), ["text/plain", "image/jpeg"]);
    assert_eq!((first.q, second.q), (800, 300));
    for binding in [first, second] {
        let cpi = binding.cpi.as_ref().unwrap();
        assert_eq!(cpi.whole[0].length, Interval::at_most(32768));
        assert_eq!(cpi.source, Source::Binding);
    }
}

#[tokio::test]
async fn all_headers_of_015_are_kept() {
    let mut house = House::new();
    house.send(&request(&example("015-register-ua-charset-language")), 0).await;
    house.restart();
    let binding = house.only_binding(0);
    let cpi = binding.cpi.as_ref().unwrap();
    assert_eq!(ranges(&binding.cpi).len(), 4);
    assert_eq!((cpi.whole.len(), cpi.charsets.as_ref().unwrap().len()), (2, 2));
    assert_eq!(cpi.languages.as_ref().unwrap().len(), 3);
    assert_eq!(binding.user_agent(), Some("Nokia7650/1.0(05.00)"));
}

#[tokio::test]
async fn accept_describes_only_the_response_where_the_option_is_off() {
    let house = House::with(|options| options.from_register_accept = false);
    house.send(&register("a", 1, &[PHONE, "Accept: image/gif", "User-Agent: Phone"]), 0).await;
    let binding = house.only_binding(0);
    assert!(binding.cpi.as_ref().is_some_and(|cpi| cpi.is_unknown()));
    assert_eq!(binding.user_agent(), Some("Phone"));
    house.send(&register("a", 2, &["Contact: <sip:john@192.0.2.7>;type=\"image/gif\""]), 0).await;
    assert_eq!(ranges(&house.only_binding(0).cpi), ["image/gif"]);
}

#[tokio::test]
async fn header_cpi_is_kept_by_a_refresh_that_says_nothing() {
    let mut house = House::new();
    house.send(&register("a", 1, &[PHONE, "Accept: image/gif", "Max-Size: 9000"]), 0).await;
    house.send(&register("a", 2, &[PHONE]), 0).await;
    assert_eq!(ranges(&house.only_binding(0).cpi), ["image/gif"]);
    house.restart();
    house.send(&register("a", 3, &[PHONE]), 0).await;
    assert_eq!(ranges(&house.only_binding(0).cpi), ["image/gif"]);
    // Any of the five replaces all.
    house.send(&register("a", 4, &[PHONE, "Accept-Language: fi"]), 0).await;
    let binding = house.only_binding(0);
    let cpi = binding.cpi.as_ref().unwrap();
    assert_eq!((&cpi.media, cpi.max_size), (&None, None));
}

#[tokio::test]
async fn header_cpi_is_not_kept_over_a_new_call_id_or_the_end_of_the_binding() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE, "Accept: image/gif"]), 0).await;
    house.send(&register("b", 1, &[PHONE]), 0).await;
    assert_eq!(house.only_binding(0).cpi, None);

    house.send(&register("b", 2, &[PHONE, "Accept: image/gif"]), 0).await;
    house.send(&register("b", 3, &["Contact: <sip:john@192.0.2.7>;expires=0"]), 0).await;
    house.send(&register("b", 4, &[PHONE]), 0).await;
    assert_eq!(house.only_binding(0).cpi, None);
}

#[tokio::test]
async fn contact_parameters_are_gone_when_a_refresh_does_not_carry_them() {
    let house = House::new();
    let groups = "Contact: <sip:john@192.0.2.7>;type=\"image/gif\";methods=\"INVITE\"";
    house.send(&register("a", 1, &[groups, "Accept: image/png"]), 0).await;
    assert_eq!(ranges(&house.only_binding(0).cpi), ["image/gif"]);
    assert!(!house.only_binding(0).features().unwrap().takes("MESSAGE"));
    house.send(&register("a", 2, &[PHONE]), 0).await;
    let binding = house.only_binding(0);
    assert_eq!(ranges(&binding.cpi), ["image/png"]);
    assert!(binding.features().unwrap().is_empty() && binding.params.is_empty());
}

#[tokio::test]
async fn phones_that_say_the_same_share_one_cpi_also_after_a_restart() {
    let mut house = House::new();
    let john = &[PHONE, "Accept: image/gif;media-pix-x=max+160", "User-Agent: Nokia7650"];
    let eve =
        &["Contact: <sip:eve@192.0.2.9>", "User-Agent:  Nokia7650", "Accept:image/gif ; media-pix-x=max+160"];
    house.send(&register("a", 1, john), 0).await;
    house.send(&register_for("sip:eve@example.com", "b", 1, eve), 0).await;
    for _ in 0..2 {
        let john = house.only_binding(0);
        let registrar::Lookup::Bindings(eve) = house.registrar().lookup(&uri("sip:eve@example.com"), now(0))
        else {
            panic!()
        };
        assert!(Arc::ptr_eq(john.cpi.as_ref().unwrap(), eve[0].cpi.as_ref().unwrap()));
        house.restart();
    }
}

#[tokio::test]
async fn cpi_that_nobody_has_any_more_is_swept() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE, "Accept: image/gif"]), 0).await;
    house.send(&register("a", 2, &[PHONE, "Accept: image/png"]), 0).await;
    let before = house.registrar().distinct_cpis();
    let swept = house.registrar().sweep(now(1)).await;
    assert!(swept.cpis > 0);
    assert_eq!(house.registrar().distinct_cpis(), before - swept.cpis);
    assert_eq!(ranges(&house.only_binding(1).cpi), ["image/png"]);
    assert_eq!(house.registrar().sweep(now(2)).await.cpis, 0);
    house.send(&register("a", 3, &[PHONE, "Accept: image/gif"]), 2).await;
    assert_eq!(ranges(&house.only_binding(2).cpi), ["image/gif"]);
}

#[tokio::test]
async fn capabilities_over_the_limit_of_a_user_are_403() {
    let house = House::with(|options| options.cpi_octets = 200);
    let small = "Accept: image/gif";
    let large = format!("Accept: {}", vec!["image/x-something-long"; 20].join(", "));
    assert_eq!(house.send(&register("a", 1, &[PHONE, &large]), 0).await.status, 403);
    assert_eq!(house.send(&register("a", 2, &[PHONE, small]), 0).await.status, 200);
    let others: Vec<_> = (10..30).map(|n| format!("Contact: <sip:john@192.0.2.{n}>")).collect();
    let mut lines: Vec<_> = others.iter().map(String::as_str).collect();
    lines.push(small);
    assert_eq!(house.send(&register("b", 1, &lines), 0).await.status, 403);
    assert_eq!(house.bindings(0).len(), 1);
}

#[tokio::test]
async fn the_binding_comes_before_what_was_learned_and_that_before_the_profile() {
    let house = House::new();
    let profile = Cpi { max_size: Some(1), ..Cpi::default() };
    let profiles: Profiles = [("Nokia*".to_owned(), profile)].into_iter().collect();
    let source = |binding: &Binding| {
        let cpi = house.registrar().cpi_for(binding, &profiles, now(0));
        cpi.map_or(Source::None, |cpi| cpi.source)
    };
    house.send(&register("a", 1, &[PHONE]), 0).await;
    assert_eq!(source(&house.only_binding(0)), Source::None);
    house.send(&register("a", 2, &[PHONE, "User-Agent: Nokia7650"]), 0).await;
    let binding = house.only_binding(0);
    assert_eq!(source(&binding), Source::Profile);
    let refusal = response(&example("034-message-415"));
    house.registrar().learn(&binding, &profiles, &refusal, SENT, now(0)).unwrap();
    assert_eq!(source(&binding), Source::Learned);
    house.send(&register("a", 3, &[PHONE, "Accept: image/gif"]), 0).await;
    assert_eq!(source(&house.only_binding(0)), Source::Binding);
}

#[tokio::test]
async fn what_a_terminal_refused_counts_against_what_it_registered_until_its_next_register() {
    let house = House::new();
    let (profiles, said) = (Profiles::default(), &[PHONE, "Accept: text/plain, image/gif"]);
    house.send(&register("a", 1, said), 0).await;
    let binding = house.only_binding(0);
    let refusal = response(&example("034-message-415"));
    house.registrar().learn(&binding, &profiles, &refusal, SENT, now(0)).unwrap();
    let known = |binding: &Binding, at| house.registrar().cpi_for(binding, &profiles, now(at)).unwrap();
    assert_eq!(ranges(&Some(known(&binding, 1))), ["text/plain", "image/jpeg"]);
    assert_eq!(known(&binding, 3600).source, Source::Binding, "an hour at most");
    // The refresh says nothing of capabilities: those of the first REGISTER count again.
    house.send(&register("a", 2, &[PHONE]), 10).await;
    let refreshed = house.only_binding(10);
    assert_eq!(ranges(&Some(known(&refreshed, 10))), ["text/plain", "image/gif"]);
}

#[tokio::test]
async fn a_415_teaches_its_accept() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE]), 0).await;
    let binding = house.only_binding(0);
    let refusal = response(&example("034-message-415"));
    let learned = house.registrar().learn(&binding, &Profiles::default(), &refusal, SENT, now(0));
    assert_eq!(ranges(&learned), ["text/plain", "image/jpeg"]);
    let query = house.registrar().query(&binding, &Profiles::default(), now(1));
    assert!(matches!(query, Query::Known(Some(known)) if Arc::ptr_eq(&known, learned.as_ref().unwrap())));
}

#[tokio::test]
async fn a_413_and_a_513_teach_half_of_what_was_too_much_or_what_max_size_says() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE]), 0).await;
    let binding = house.only_binding(0);
    let text = |status: &str, line: &str| {
        let refusal = String::from_utf8(example("034-message-415")).unwrap();
        let refusal = refusal.replace("415 Unsupported Media Type", status);
        let kept: Vec<_> = refusal.split("\r\n").filter(|line| !line.starts_with("Accept")).collect();
        kept.join("\r\n").replace("CSeq:", &format!("{line}CSeq:"))
    };
    let learn = |status, line| {
        let refusal = response(text(status, line).as_bytes());
        house.registrar().learn(&binding, &Profiles::default(), &refusal, SENT, now(0))
    };
    assert_eq!(learn("480 Temporarily Unavailable", ""), None);
    assert_eq!(learn("415 Unsupported Media Type", ""), None);
    assert_eq!(learn("413 Request Entity Too Large", "").unwrap().whole[0].length, Interval::at_most(1500));
    assert_eq!(learn("513 Message Too Large", "").unwrap().max_size, Some(2000));
    assert_eq!(learn("513 Message Too Large", "Max-Size: 1300\r\n").unwrap().max_size, Some(1300));
}

#[tokio::test]
async fn one_asks_all_wait_and_nobody_asks_again() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE]), 0).await;
    let binding = house.only_binding(0);
    let query = |at| house.registrar().query(&binding, &Profiles::default(), now(at));
    let Query::Ask(ticket) = query(0) else { panic!() };
    let Query::Wait(wait) = query(0) else { panic!() };
    // Accept wins over the Contact's type (L3).
    let known = ticket.answer(Some(&response(&example("028-fig4-options-200"))));
    assert_eq!(ranges(&known), ["text/plain", "image/gif"]);
    assert!(Arc::ptr_eq(&wait.answer().await.unwrap(), known.as_ref().unwrap()));
    assert!(matches!(query(3599), Query::Known(Some(cpi)) if cpi.source == Source::Learned));
    assert!(matches!(query(3600), Query::Ask(_)));
}

#[tokio::test]
async fn that_there_was_no_answer_is_kept_too() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE]), 0).await;
    let binding = house.only_binding(0);
    let query = |at| house.registrar().query(&binding, &Profiles::default(), now(at));
    let Query::Ask(ticket) = query(0) else { panic!() };
    let Query::Wait(wait) = query(0) else { panic!() };
    drop(ticket);
    assert_eq!(wait.answer().await, None);
    assert!(matches!(query(10), Query::Known(None)));
}

#[tokio::test]
async fn a_new_call_id_or_a_new_binding_is_asked_again_a_refresh_is_not() {
    let house = House::new();
    let ask = || match house.registrar().query(&house.only_binding(0), &Profiles::default(), now(0)) {
        Query::Ask(ticket) => ticket.answer(None).is_none(),
        Query::Known(None) => false,
        other => panic!("{other:?}"),
    };
    house.send(&register("a", 1, &[PHONE]), 0).await;
    assert!(ask());
    house.send(&register("a", 2, &[PHONE]), 0).await;
    assert!(!ask());
    house.send(&register("b", 1, &[PHONE]), 0).await;
    assert!(ask());
    house.send(&register("b", 2, &["Contact: *", "Expires: 0"]), 0).await;
    house.send(&register("b", 3, &[PHONE]), 0).await;
    assert!(ask());
}

#[tokio::test]
async fn a_full_table_of_terminals_asks_nobody_until_there_is_room() {
    let house = House::with(|options| options.learned = 1);
    house.send(&register("a", 1, &[PHONE, "Contact: <sip:john@192.0.2.8>"]), 0).await;
    let bindings = house.bindings(0);
    let query = |which: usize, at| house.registrar().query(&bindings[which], &Profiles::default(), now(at));
    assert!(matches!(query(0, 0), Query::Ask(_)));
    assert!(matches!(query(1, 0), Query::Known(None)));
    assert!(matches!(query(1, 3600), Query::Ask(_)));
}
