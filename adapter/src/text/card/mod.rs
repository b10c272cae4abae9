//! vCards from one version to another: 2.1 (versit), 3.0 (RFC 2426), 4.0 (RFC 6350).
//!
//! Each property is read into its name, its parameters and its value in plain UTF-8, and written in the other version's
//! way. What the other version has no word for is written with an `X-` name if a phone could show it, else left out.

mod read;
mod write;

use read::read_cards;

/// A version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// versit 2.1, as `text/x-vcard`.
    V21,
    /// RFC 2426, as `text/directory;profile=vCard`.
    V30,
    /// RFC 6350, as `text/vcard`.
    V40,
}

impl Version {
    const fn name(self) -> &'static str {
        match self {
            Version::V21 => "2.1",
            Version::V30 => "3.0",
            Version::V40 => "4.0",
        }
    }
}

/// Cards of one text that are read.
const MOST_CARDS: usize = 1000;
/// Properties of all cards together.
const MOST_PROPERTIES: usize = 20_000;

/// A person, or what else a card is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Card {
    properties: Vec<Property>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Property {
    /// `item1` of `item1.TEL`.
    group: Option<String>,
    /// In upper case.
    name: String,
    /// What it is for, in lower case: `home`, `cell`, `pref`.
    types: Vec<String>,
    /// Other parameters that mean something to a reader, names in upper case.
    params: Vec<(String, String)>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Fields between semicolons, each with its list between commas. A simple text is one field of one.
    Text(Vec<Vec<String>>),
    /// Written as it is in every version: a URI, a date.
    Plain(String),
    /// A picture, a sound or a key, with its media type if that is known.
    Binary { octets: Vec<u8>, media_type: Option<String> },
}

/// The cards of `text` in another version. `None`: no card is in it.
pub fn convert_cards(text: &str, to: Version) -> Option<String> {
    let cards = read_cards(text);
    if cards.is_empty() {
        return None;
    }
    Some(cards.iter().map(|card| write::card(card, to)).collect())
}

/// Properties whose value has fields between semicolons.
fn is_structured(name: &str) -> bool {
    matches!(name, "N" | "ADR" | "ORG" | "GENDER" | "CLIENTPIDMAP")
}

/// Properties whose value is a list between commas.
fn is_list(name: &str) -> bool {
    matches!(name, "N" | "ADR" | "NICKNAME" | "CATEGORIES")
}

/// Properties whose value is a URI or a date and has no escapes.
fn is_plain(name: &str) -> bool {
    matches!(
        name,
        "URL"
            | "UID"
            | "SOURCE"
            | "IMPP"
            | "BDAY"
            | "ANNIVERSARY"
            | "REV"
            | "TZ"
            | "GEO"
            | "FBURL"
            | "CALURI"
            | "CALADRURI"
            | "MEMBER"
            | "RELATED"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=\r\n=C3=B6rg\r\n\
                       TEL;CELL;PREF:+49 151 1\r\nTEL;HOME;VOICE:030 1\r\nADR;HOME:;;Gasse 1;Berlin;;10115;Germany\r\n\
                       NOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0Atwo, three\r\nBDAY:19700131\r\n\
                       PHOTO;JPEG;ENCODING=BASE64:\r\n /9j/\r\n 4AAQ\r\n\r\nX-IRMC-LUID:0001\r\nEND:VCARD\r\n";

    #[test]
    fn an_old_phones_card_becomes_one_of_rfc_6350() {
        let new = convert_cards(OLD, Version::V40).unwrap();
        let lines: Vec<&str> = new.lines().collect();
        assert_eq!(lines[..2], ["BEGIN:VCARD", "VERSION:4.0"]);
        for line in [
            "FN:Jörg Müller",
            "N:Müller;Jörg",
            "TEL;TYPE=cell;PREF=1:+49 151 1",
            "TEL;TYPE=home,voice:030 1",
            "ADR;TYPE=home:;;Gasse 1;Berlin;;10115;Germany",
            "NOTE:one\\ntwo\\, three",
            "BDAY:19700131",
            "PHOTO:data:image/jpeg;base64,/9j/4AAQ",
            "X-IRMC-LUID:0001",
            "END:VCARD",
        ] {
            assert!(lines.contains(&line), "{line} is not in\n{new}");
        }
    }

    #[test]
    fn there_and_back_says_the_same() {
        let cards = read_cards(OLD);
        for version in [Version::V30, Version::V40] {
            let there = convert_cards(OLD, version).unwrap();
            let back = convert_cards(&there, Version::V21).unwrap();
            let again = read_cards(&back);
            for property in &cards[0].properties {
                assert!(again[0].properties.contains(property), "{property:?} of {version:?}: {back}");
            }
        }
    }

    #[test]
    fn a_new_card_is_read_by_an_old_phone() {
        let new = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada Löw\r\nGENDER:F\r\nBDAY:1970-01-31\r\nEMAIL;PREF=1:a@example.com\r\n\
                   PHOTO:data:image/png;base64,iVBO\r\nTEL;VALUE=uri;TYPE=\"voice,cell\":tel:+1-555-1\r\n\
                   NOTE:a very long line that is folded in the middle of a word so that it must be join\r\n ed again\r\n\
                   CLIENTPIDMAP:1;urn:uuid:1\r\nEND:VCARD\r\n";
        let old = convert_cards(new, Version::V21).unwrap();
        for line in [
            "VERSION:2.1",
            "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Ada L=C3=B6w",
            "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:L=C3=B6w;Ada",
            "BDAY:19700131",
            "EMAIL;PREF:a@example.com",
            "TEL;VOICE;CELL:+1-555-1",
            "PHOTO;PNG;ENCODING=BASE64:",
            " iVBO",
        ] {
            assert!(old.lines().any(|found| found == line), "{line} is not in\n{old}");
        }
        assert!(old.contains("must be joined again") && !old.contains("CLIENTPIDMAP"), "{old}");
    }

    #[test]
    fn a_card_of_rfc_2426_has_what_it_must() {
        let card = convert_cards("BEGIN:VCARD\nVERSION:4.0\nFN:Cher\nEND:VCARD\n", Version::V30).unwrap();
        assert_eq!(card, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Cher\r\nN:Cher;;;;\r\nEND:VCARD\r\n");
    }

    #[test]
    fn lines_are_folded_at_75_octets_between_characters() {
        let note = "ö".repeat(100);
        let card = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\nN:x\r\nNOTE:{note}\r\nEND:VCARD\r\n");
        let new = convert_cards(&card, Version::V40).unwrap();
        assert!(new.lines().all(|line| line.len() <= 75), "{new}");
        assert!(new.replace("\r\n ", "").contains(&note));
    }

    #[test]
    fn what_is_no_card_is_none() {
        for text in ["", "hello", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"] {
            assert_eq!(convert_cards(text, Version::V40), None);
        }
    }

    #[test]
    fn broken_and_endless_cards_come_to_an_end() {
        let many = "BEGIN:VCARD\r\n".repeat(100_000);
        assert!(read_cards(&many).len() <= MOST_CARDS);
        let lines = format!("BEGIN:VCARD\r\n{}END:VCARD\r\n", "NOTE:x\r\n".repeat(100_000));
        assert!(
            read_cards(&lines).iter().map(|card| card.properties.len()).sum::<usize>() <= MOST_PROPERTIES
        );
        for text in [
            "BEGIN:VCARD\r\nNOTE;ENCODING=QUOTED-PRINTABLE:=\r\n",
            "BEGIN:VCARD\r\n;:\r\n:\r\n.:\r\nEND:VCARD",
        ] {
            let _ = convert_cards(text, Version::V21);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(text in "(BEGIN:VCARD|END:VCARD|[A-Z.;=:\",\\\\n]|ENCODING=QUOTED-PRINTABLE|=C3|ö|\r\n| ){0,60}") {
            for version in [Version::V21, Version::V30, Version::V40] {
                let _ = convert_cards(&text, version);
            }
        }
    }
}
