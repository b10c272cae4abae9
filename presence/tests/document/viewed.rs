//! What rules show of a document (RFC 5025 §3.3).

use presence::document::rules::Rules;
use presence::rules::{Policy, Watcher};
use presence::time::Moment;

use super::*;

const ALL: &str = "<tuple id=\"t1\"><status><basic>open</basic><b:ObjLink>cid:s@x</b:ObjLink></status><r:class>home</r:class><dm:deviceID>urn:d:1</dm:deviceID><r:status-icon>cid:i@x</r:status-icon><contact>sip:a@h</contact><note>tuple note</note></tuple><tuple id=\"t2\"><status><basic>closed</basic></status><contact>tel:+1</contact></tuple><note>root note</note><dm:person id=\"p1\"><r:activities><r:away/></r:activities><r:mood><r:sad/></r:mood><r:user-input since=\"2026-01-01T00:00:00Z\" idle-threshold=\"600\">idle</r:user-input><c:icon>cid:c@x</c:icon><dm:note>person note</dm:note></dm:person><dm:device id=\"d1\"><r:class>work</r:class><dm:deviceID>urn:d:1</dm:deviceID></dm:device><b:ObjLink>cid:o@x</b:ObjLink><!-- psst -->";

/// What is written of the document for whom a rule with those transformations is about.
fn seen(transformations: &str) -> String {
    seen_of(&format!("<cr:transformations>{transformations}</cr:transformations>"))
}

fn seen_of(inner: &str) -> String {
    let rules = format!(
        "<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\"><cr:rule id=\"a\"><cr:actions><sub-handling>allow</sub-handling></cr:actions>{inner}</cr:rule></cr:ruleset>"
    );
    let rules = Rules::read(rules.as_bytes(), &Limits::default()).unwrap();
    let document = read(&presence(ALL));
    match rules.view(None, Moment::default(), |one, other| one == other) {
        Some(view) => written(&view.of(&document)),
        None => written(&document),
    }
}

fn assert_seen(transformations: &str, shown: &[&str], hidden: &[&str]) {
    let seen = seen(transformations);
    for piece in shown {
        assert!(seen.contains(piece), "{piece} is hidden by {transformations}: {seen}");
    }
    for piece in hidden {
        assert!(!seen.contains(piece), "{piece} is shown by {transformations}: {seen}");
    }
}

#[test]
fn nothing_is_shown_but_what_is_granted() {
    assert_seen("", &[], &["tuple", "person", "device", "note", "ObjLink", "psst"]);
    let services = "<provide-services><all-services/></provide-services>";
    assert_seen(
        services,
        &["id=\"t1\"", "id=\"t2\"", "<basic>open</basic>", "sip:a@h"],
        &["person", "class", "deviceID", "status-icon", "note", "ObjLink", "cid:"],
    );
    let persons = "<provide-persons><all-persons/></provide-persons>";
    assert_seen(
        &format!(
            "{persons}<provide-mood>true</provide-mood><provide-note>true</provide-note><provide-activities>false</provide-activities>"
        ),
        &["r:mood", "person note", "root note"],
        &["tuple", "activities", "user-input", "icon", "device"],
    );
    assert_seen("<provide-all-attributes/>", &["root note", "cid:o@x"], &["tuple", "person", "device"]);
}

#[test]
fn components_are_named_by_what_they_say_of_themselves() {
    let services = |by: &str| format!("<provide-services>{by}</provide-services>");
    for (by, shown, hidden) in [
        ("<class>home</class>", "t1", "t2"),
        ("<occurrence-id>t2</occurrence-id>", "t2", "t1"),
        ("<service-uri>sip:a@h</service-uri>", "t1", "t2"),
        ("<service-uri-scheme>tel</service-uri-scheme>", "t2", "t1"),
    ] {
        assert_seen(&services(by), &[&format!("\"{shown}\"")], &[&format!("\"{hidden}\"")]);
    }
    let devices = |by: &str| format!("<provide-devices>{by}</provide-devices>");
    assert_seen(&devices("<deviceID>urn:d:1</deviceID>"), &["device", "urn:d:1"], &["work", "tuple"]);
    assert_seen(&devices("<deviceID>urn:d:2</deviceID>"), &[], &["urn:d:1"]);
}

#[test]
fn user_input_is_shown_as_far_as_is_granted_and_what_nobody_knows_by_its_name() {
    let persons = "<provide-persons><all-persons/></provide-persons>";
    let input = |much: &str| format!("{persons}<provide-user-input>{much}</provide-user-input>");
    assert_seen(&input("false"), &["person"], &["user-input"]);
    assert_seen(&input("bare"), &[">idle<"], &["since", "idle-threshold"]);
    assert_seen(&input("thresholds"), &["idle-threshold"], &["since"]);
    assert_seen(&input("full"), &["idle-threshold", "since"], &[]);
    let unknown = |ns: &str, name: &str| {
        format!(
            "{persons}<provide-unknown-attribute ns=\"{ns}\" name=\"{name}\">true</provide-unknown-attribute>"
        )
    };
    assert_seen(&unknown("urn:ietf:params:xml:ns:pidf:cipid", "icon"), &["cid:c@x"], &["mood"]);
    assert_seen(&unknown("urn:ietf:params:xml:ns:pidf:rpid", "mood"), &[], &["mood"]);
}

#[test]
fn everything_is_shown_by_all_permissions_and_by_a_rule_without_any() {
    let whole = written(&read(&presence(ALL)));
    let all = "<provide-services><all-services/></provide-services><provide-persons><all-persons/></provide-persons><provide-devices><all-devices/></provide-devices><provide-all-attributes/>";
    assert_eq!(seen(all), whole);
    assert_eq!(seen_of(""), whole);
}

#[test]
fn permissions_of_all_rules_that_let_somebody_in_add_up() {
    let rule = |handling: &str, inner: &str| {
        format!(
            "<cr:rule id=\"a\"><cr:actions><sub-handling>{handling}</sub-handling></cr:actions>{inner}</cr:rule>"
        )
    };
    let shows = |kind: &str| {
        format!("<cr:transformations><provide-{kind}><all-{kind}/></provide-{kind}></cr:transformations>")
    };
    let rules = format!(
        "<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">{}{}{}</cr:ruleset>",
        rule("allow", &shows("services")),
        rule("allow", &shows("persons")),
        // One that lets nobody in shows nobody anything.
        rule("confirm", "")
    );
    let rules = Rules::read(rules.as_bytes(), &Limits::default()).unwrap();
    assert!(rules.hides());
    let view = rules.view(None, Moment::default(), |one, other| one == other).unwrap();
    let seen = written(&view.of(&read(&presence(ALL))));
    assert!(seen.contains("\"t1\"") && seen.contains("\"p1\"") && !seen.contains("\"d1\""), "{seen}");
}

#[test]
fn who_leaves_out_his_proof_sees_no_more_than_who_he_says_he_is() {
    let rule = |conditions: &str, kinds: &[&str]| {
        let shown: String =
            kinds.iter().map(|kind| format!("<provide-{kind}><all-{kind}/></provide-{kind}>")).collect();
        format!(
            "<cr:rule id=\"a\"><cr:conditions>{conditions}</cr:conditions><cr:actions><sub-handling>allow</sub-handling></cr:actions><cr:transformations>{shown}</cr:transformations></cr:rule>"
        )
    };
    let bob = "<cr:identity><cr:one id=\"sip:bob@example.com\"/></cr:identity>";
    let shown_to = |proven: bool, rules: &[String]| {
        let rules = format!(
            "<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">{}</cr:ruleset>",
            rules.concat()
        );
        let policy = Policy::Document(Rules::read(rules.as_bytes(), &Limits::default()).unwrap());
        let watcher = Watcher { aor: "sip:bob@example.com", proven };
        match policy.view(&watcher, Moment::default()) {
            Some(view) => written(&view.of(&read(&presence(ALL)))),
            None => written(&read(&presence(ALL))),
        }
    };
    let [of_bob, of_anybody] = [rule(bob, &["services"]), rule("", &["services", "persons"])];
    for proven in [true, false] {
        let seen = shown_to(proven, std::slice::from_ref(&of_bob));
        assert!(seen.contains("\"t1\"") && !seen.contains("\"p1\""), "{proven}: {seen}");
    }
    let seen = shown_to(false, &[of_bob, of_anybody]);
    assert!(seen.contains("\"t1\"") && seen.contains("\"p1\"") && !seen.contains("\"d1\""), "{seen}");
}
