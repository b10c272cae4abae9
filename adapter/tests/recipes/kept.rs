//! What is told without a plan is what the plan says.

use adapter::{Budget, Entity, Field, LinkShape, Linking, Method, Settings, Verdict, is_kept, plan};
use cpi::{Cpi, Extensions};

use crate::{MESSAGES, message, of};

/// The entities of all example messages, texts on the limits, and the CPIs that any head among them states.
fn examples() -> (Vec<Entity>, Vec<Option<Cpi>>) {
    let mut names: Vec<String> = std::fs::read_dir(MESSAGES)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".msg"))
        .collect();
    names.sort();
    let (mut entities, mut cpis) = (Vec::new(), vec![None, Some(Cpi::default())]);
    for name in &names {
        let (fields, body) = message(name);
        let headers = fields.iter().map(|field| (&*field.name, &*field.value));
        cpis.push(Some(cpi::decode::from_headers(headers, &Extensions::NONE).0));
        let fields = fields.into_iter().filter(|field| Entity::describes(&field.name)).collect();
        entities.push(Entity { fields, body });
    }
    let texts = [
        "text/plain",
        "Text/Plain; charset=UTF-8",
        "text/plain;charset=us-ascii",
        "text/plain;charset=koi8-r",
    ];
    for body in ["", "a", "caf\u{e9}", &"0123456789".repeat(20)] {
        entities.extend(texts.iter().map(|kind| of(kind, body.as_bytes().to_vec())));
        let mut described = of("text/plain", body.as_bytes().to_vec());
        described.fields.push(Field::new("Content-Disposition", "render"));
        entities.push(described);
    }
    let accepts = [
        ("Accept", "image/gif"),
        ("Accept", "text/plain;q=0.2, message/external-body"),
        ("Accept", "text/plain;q=0.4, text/plain;length=max-10, message/external-body"),
        ("Accept", "text/plain;length=max-10, message/external-body, text/*;q=0.1"),
        ("Accept", "text/html, text/plain;q=0"),
        ("Accept-Charset", "us-ascii"),
        ("Accept-Charset", "iso-8859-1"),
        ("Accept-Encoding", "identity;length=max-150"),
        ("Accept-Encoding", "gzip, identity;q=0"),
        ("Max-Size", "600"),
    ];
    for (name, value) in accepts {
        let line = [(name.as_bytes(), value.as_bytes())];
        cpis.push(Some(cpi::decode::from_headers(line, &Extensions::NONE).0));
    }
    (entities, cpis)
}

#[test]
fn what_is_told_to_stay_stays_by_its_plan() {
    let (entities, cpis) = examples();
    let links = Some(LinkShape { url_octets: 64, adaptive: true });
    let base = Settings::new("proxy.example.com");
    let settings = [
        base.clone(),
        Settings { links, ..base.clone() },
        Settings { links, linking: Linking::Always, ..base.clone() },
        Settings { links, linking: Linking::UnknownTerminal, strict_specificity: true, ..base.clone() },
        Settings {
            method: Method::Notify,
            implied: cpi::matching::implied("NOTIFY", Some("presence")),
            ..base.clone()
        },
        Settings { sealed: true, ..base },
    ];
    let budgets = [(None, 400), (Some(1300), 400), (Some(410), 400), (Some(600), 390)];
    let budgets = budgets.map(|(message, head)| Budget { message, head });
    let (mut kept, mut planned) = (0, 0);
    for entity in &entities {
        for (cpi, (settings, budget)) in cpis.iter().flat_map(|cpi| {
            settings.iter().flat_map(|one| budgets.map(|budget| (one, budget))).map(move |pair| (cpi, pair))
        }) {
            let verdict = || plan(entity, cpi.as_ref(), settings, budget).verdict();
            if is_kept(&entity.fields, &entity.body, cpi.as_ref(), settings, budget) {
                assert_eq!(
                    verdict(),
                    Verdict::Unchanged,
                    "{:?} {cpi:?} {settings:?} {budget:?}",
                    entity.fields
                );
                kept += 1;
            } else {
                planned += 1;
            }
        }
    }
    assert!(kept > 1000 && planned > 1000, "{kept} {planned}");
}

#[test]
fn a_plain_text_for_a_terminal_that_listed_pictures_needs_no_plan() {
    let (fields, body) = message("037");
    let fields: Vec<_> = fields.into_iter().filter(|field| Entity::describes(&field.name)).collect();
    let (cpi, _) = cpi::decode::from_headers([(&b"Accept"[..], &b"image/gif"[..])], &Extensions::NONE);
    let settings =
        Settings { links: Some(LinkShape { url_octets: 64, adaptive: true }), ..Settings::new("h") };
    assert!(is_kept(&fields, &body, Some(&cpi), &settings, Budget { message: None, head: 400 }));
}
