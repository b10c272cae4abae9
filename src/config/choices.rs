//! Keys that take one of a few words.

use super::section::Value;
use super::values::quote;

/// An enum whose values are words.
macro_rules! choices {
    ($($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ })+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
        pub(crate) enum $name { $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// The word in the config.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl Value for $name {
            fn kind() -> String {
                [$($word),+].join(" | ")
            }

            fn show(&self) -> String {
                quote(self.name())
            }
        }
    )+};
}

choices! {
    /// Who proves to be who, and how.
    AuthMode {
        /// RFC 8760 digest.
        Digest = "digest",
        /// Nobody is asked.
        None = "none",
    }
    /// Who may send to domains that are not ours.
    Relay {
        /// Users who proved who they are, and peers.
        Authenticated = "authenticated",
        /// Peers only.
        Trusted = "trusted",
        /// Nobody.
        None = "none",
    }
    /// What a watcher gets whom no rule of the presentity means.
    WatcherRule {
        /// What was published.
        Allow = "allow",
        /// Nothing until the presentity decides.
        Pending = "pending",
        /// That nobody is there.
        PoliteBlock = "polite-block",
        /// 403.
        Block = "block",
    }
    /// What happens for a terminal that never said what it can show.
    UnknownTerminal {
        /// Bodies go to it as they came.
        Passthrough = "passthrough",
        /// It is asked once with OPTIONS.
        Options = "options",
        /// Anything but plain text goes as a link.
        Indirect = "indirect",
    }
    /// How tiers of one media type are read.
    TierReading {
        /// The most wanted tier that can be reached.
        Honour = "honour",
        /// Whatever fits any tier stays as it is.
        Minimal = "minimal",
    }
    /// What several phones of one user get when a picture must change.
    ForkMode {
        /// Each a link of its own.
        Indirect = "indirect",
        /// Each a copy of its own.
        PerBranch = "per-branch",
    }
    /// How connections to a mail server are secured.
    MailTls {
        /// With STARTTLS, or not used.
        StartTls = "starttls",
        /// With STARTTLS if it is offered.
        Offered = "offered",
        /// From the first octet.
        Implicit = "implicit",
        /// Not at all.
        Off = "off",
    }
    /// How much is logged.
    Level {
        /// Only what is broken.
        Error = "error",
        /// And what is doubtful.
        Warn = "warn",
        /// And one line for each message.
        Info = "info",
        /// And why.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}
