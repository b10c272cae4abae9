//! Hostile and random input: an answer, never a panic, limits kept.

use adapter::{Action, Settings};
use proptest::prelude::*;

use super::*;

#[test]
fn a_gif_that_claims_65535_pixels_a_side_is_never_decoded() {
    let mut gif = b"GIF89a\xff\xff\xff\xff\x80\x00\x00".to_vec();
    gif.extend_from_slice(&[0; 456]);
    let from = of("image/gif", gif);
    let got = linked(&registered("006"), &from).unwrap();
    assert_eq!(got.report.parts[0].action, Action::LinkText);
    assert!(to(&accepts("image/gif"), &from).unwrap().is_identical(&from));
}

#[test]
fn a_tree_a_thousand_deep_goes_out_as_one_piece_or_as_a_link() {
    let mut body = String::from("x");
    for level in (0..1000).rev() {
        body = format!(
            "--b{level}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n{body}\r\n--b{level}--",
            level + 1
        );
    }
    let from = of("multipart/mixed; boundary=b0", body);
    assert!(linked(&accepts("text/plain"), &from).unwrap().is_identical(&from));
    let tight = accept(&[("Accept", "text/plain"), ("Accept-Encoding", "identity;length=max+2000")]);
    assert!(linked(&tight, &from).unwrap().entity.body.len() <= 2000);
}

#[test]
fn a_hundred_and_twenty_parts_are_chosen_greedily_within_the_budget() {
    let gif = entity("020").body;
    let mut body = Vec::new();
    for _ in 0..120 {
        body.extend_from_slice(b"--b\r\nContent-Type: image/gif\r\n\r\n");
        body.extend_from_slice(&gif);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    let from = of("multipart/mixed; boundary=b", body);
    let cpi = accept(&[
        ("Accept", "image/gif, message/external-body"),
        ("Accept-Encoding", "identity;length=max+150000"),
    ]);
    let got = linked(&cpi, &from).unwrap();
    assert!(got.entity.body.len() <= 150_000);
    assert!(!got.report.whole_link);
}

#[test]
fn a_head_that_is_over_the_limit_by_itself_is_refused() {
    let budget = Budget { message: Some(1300), head: 1400 };
    let refusal = deliver(&entity("037"), None, &with_store(), budget).map(|_| ()).unwrap_err();
    assert_eq!(refusal.status, 513);
}

#[test]
fn a_coding_the_terminal_does_not_take_is_named() {
    let mut from = of("text/plain", "x");
    from.fields.push(Field::new("Content-Encoding", "gzip"));
    let refusal = to(&accepts("text/plain"), &from).map(|_| ()).unwrap_err();
    assert_eq!((refusal.status, refusal.accept_encoding.as_deref()), (415, Some("identity")));
}

#[test]
fn an_empty_body_is_left_alone() {
    let from = Entity::default();
    assert!(to(&accepts(""), &from).unwrap().is_identical(&from));
}

#[test]
fn reports_are_json_for_a_reader() {
    let got = to(&registered("005"), &entity("020")).unwrap();
    let json = serde_json::to_value(&got.report).unwrap();
    assert_eq!(json["parts"][0]["action"], "scale");
    assert_eq!(json["parts"][0]["pixels_after"], serde_json::json!([158, 119]));
    assert!(json["parts"][0]["why"].as_str().unwrap().contains("158x119"));
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "(--b(--)?\r\n|\r\n|--c\r\n|--c--\r\n){1,3}",
        "Content-Type: (text/(plain|html)|image/gif|audio/amr|multipart/(mixed|alternative|related|signed); boundary=[bc]|message/external-body; access-type=URL; URL=\"http://h/\")\r\n",
        "Content-(ID: <a@b>|Disposition: render;handling=optional|Transfer-Encoding: (base64|quoted-printable|x))\r\n",
        "<p><img src=\"cid:a@b\">[a-z ]{0,80}</p>",
        "[ -~]{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_body_gets_an_answer_within_its_limits(
        pieces in proptest::collection::vec(piece(), 0..30),
        kind in prop_oneof!["multipart/(mixed|alternative|related); boundary=b", "text/html", "image/gif", "[ -~]{0,20}"],
        accept_line in prop_oneof!["(text/plain|image/\\*|\\*/\\*;length=max\\+[0-9]{1,3}|message/external-body|multipart/related|text/html;q=0.3)(, (text/html|audio/amr|image/jpeg;media-pix-x=max\\+64|message/\\*))?"],
        whole in proptest::option::of(0u64..4000),
        message in proptest::option::of(200u64..3000),
        store in any::<bool>(),
    ) {
        let from = of(&kind, pieces.concat());
        let mut lines = vec![("Accept", accept_line)];
        if let Some(whole) = whole {
            lines.push(("Accept-Encoding", format!("identity;length=max+{whole}")));
        }
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let cpi = accept(&lines);
        let settings: Settings = if store { with_store() } else { settings() };
        let budget = Budget { message, head: 100 };
        let got = deliver(&from, Some(&cpi), &settings, budget);
        if let Ok(got) = &got {
            let body = got.entity.body.len() as u64;
            let fields: u64 = got.entity.fields.iter().map(Field::octets).sum();
            prop_assert!(from.body.is_empty() || whole.is_none_or(|whole| body <= whole), "{body} over {whole:?}");
            prop_assert!(from.body.is_empty() || message.is_none_or(|message| body + fields + 100 <= message));
        }
        let again = deliver(&from, Some(&cpi), &settings, budget);
        prop_assert_eq!(got.map(|got| (got.entity.body, got.entity.fields)).ok(), again.map(|got| (got.entity.body, got.entity.fields)).ok());
    }
}

/// Offers so many types, of which the terminal takes the last alone.
struct Offers(usize);

impl adapter::Converter for Offers {
    fn probe(&self, _: &str, _: &Bytes) -> Option<adapter::Traits> {
        Some(adapter::Traits::default())
    }

    fn offers(&self, _: &str, _: &Bytes, _: &dyn Fn(&str) -> Vec<adapter::Want>) -> Vec<adapter::Offer> {
        let offer = |media_type: &str| adapter::Offer {
            media_type: media_type.into(),
            octets: 10,
            ..adapter::Offer::default()
        };
        let others = (1..self.0).map(|_| offer("audio/other"));
        others.chain([offer("audio/taken")]).collect()
    }

    fn convert(
        &self,
        _: &Bytes,
        _: &str,
        _: &adapter::Offer,
        _: Option<u64>,
        _: &dyn Fn() -> bool,
    ) -> Result<adapter::Product, adapter::JobError> {
        Err(adapter::JobError::Stopped)
    }
}

#[test]
fn of_a_converters_offers_the_first_twenty_are_looked_at() {
    let planned = |offers: usize| {
        let converters = adapter::Converters(std::sync::Arc::new([std::sync::Arc::new(Offers(offers)) as _]));
        let settings = Settings { converters, ..settings() };
        let plan = plan(&of("audio/amr", "x"), Some(&accepts("audio/taken")), &settings, Budget::default());
        plan.verdict() == Verdict::Adapt
    };
    assert!(planned(20) && !planned(21));
}
