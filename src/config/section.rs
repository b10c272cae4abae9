//! How a table of the config is declared: once, with its documentation and its default beside each key.
//!
//! [`section!`] makes the struct that serde fills (unknown keys refused), its `Default`, and the list of
//! [`Key`]s that the reference page is printed from and a reload is compared with.

/// One key, as the reference page and a reload see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Dotted, `[]` or `[n]` after a name for a list of tables: `peer[0].address`.
    pub(crate) path: String,
    /// What may be written: `true | false`, `a duration`.
    pub(crate) kind: String,
    /// The value in TOML; empty when unset.
    pub(crate) value: String,
    /// The documentation of the key.
    pub(crate) doc: &'static str,
    /// Whether this opens a table rather than being a value.
    pub(crate) is_table: bool,
}

/// Something that may stand behind a key: a value, a table, a list of either.
pub(crate) trait Setting {
    /// Appends this setting and what is below it.
    fn describe(&self, path: &str, doc: &'static str, keys: &mut Vec<Key>);
}

/// A single value, written in one line of TOML.
pub(crate) trait Value {
    /// What may be written, for people.
    fn kind() -> String;
    /// The value as TOML; empty when unset.
    fn show(&self) -> String;
}

impl<V: Value> Setting for V {
    fn describe(&self, path: &str, doc: &'static str, keys: &mut Vec<Key>) {
        let (kind, value) = (V::kind(), self.show());
        keys.push(Key { path: path.to_owned(), kind, value, doc, is_table: false });
    }
}

/// A table of the config with a place for its keys.
pub(crate) trait Section: Default {
    /// What the table is for.
    const DOC: &'static str;
    /// Appends every key below `path`.
    fn keys(&self, path: &str, keys: &mut Vec<Key>);
}

/// A list of tables, `[[peer]]`. An empty one is described by what an entry would have.
impl<S: Section> Setting for Vec<S> {
    fn describe(&self, path: &str, _doc: &'static str, keys: &mut Vec<Key>) {
        let table = |path: &str| Key {
            path: path.to_owned(),
            kind: String::new(),
            value: String::new(),
            doc: S::DOC,
            is_table: true,
        };
        if self.is_empty() {
            let path = format!("{path}[]");
            keys.push(table(&path));
            S::default().keys(&path, keys);
        }
        for (at, entry) in self.iter().enumerate() {
            let path = format!("{path}[{at}]");
            keys.push(table(&path));
            entry.keys(&path, keys);
        }
    }
}

/// Declares one table: `struct Name { /// doc  key: Type = default, .. }`.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $key:ident: $kind:ty = $default:expr,)* }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name { $($(#[doc = $doc])+ pub(crate) $key: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::config::section::Section for $name {
            const DOC: &'static str = concat!($($about, "\n"),+);

            fn keys(&self, path: &str, keys: &mut Vec<$crate::config::section::Key>) {
                $({
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{}", stringify!($key));
                    let doc = concat!($($doc, "\n"),+);
                    $crate::config::section::Setting::describe(&self.$key, &path, doc, keys);
                })*
            }
        }
    };
}

/// Makes tables usable as fields of the table above them.
macro_rules! tables {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::config::section::Setting for $name {
            fn describe(&self, path: &str, _doc: &'static str, keys: &mut Vec<$crate::config::section::Key>) {
                use $crate::config::section::{Key, Section};
                let (kind, value) = (String::new(), String::new());
                let doc = <$name as Section>::DOC;
                keys.push(Key { path: path.to_owned(), kind, value, doc, is_table: true });
                self.keys(path, keys);
            }
        }
    )*};
}

pub(crate) use {section, tables};
