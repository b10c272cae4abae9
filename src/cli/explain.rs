//! `bespoke explain MESSAGE.msg --to REGISTER.msg`: the plan for this message and this terminal.
//!
//! It takes the proxy's road without a socket: the same settings, the same planner, the work really done,
//! so that the sizes it shows are those the terminal would get. Links are made up.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use adapter::{Adapted, Budget, Built, Link, Plan, Refusal, Report, Verdict};
use cpi::Cpi;
use serde::Serialize;

use super::message_file::MessageFile;
use super::{Failure, say, table};
use crate::config::Config;

#[derive(clap::Args, Debug)]
pub(super) struct ExplainArgs {
    /// The message
    message: PathBuf,
    /// The REGISTER of the terminal it is for
    #[arg(long, value_name = "REGISTER.msg")]
    to: PathBuf,
    /// Which Contact of the REGISTER, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    contact: usize,
    /// The most octets of the whole message, as over a UDP flow that is the only way (1300)
    #[arg(long, value_name = "OCTETS")]
    budget: Option<u64>,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
    /// The config; without one the embedded default holds
    #[arg(short, long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key over the config
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let config = crate::config::load(args.config.as_deref(), &args.set)?;
    let message = MessageFile::read(&args.message)?;
    let terminal = terminal(args, &config)?;
    let explanation = explain(args, &config, &message, &terminal);
    if args.json {
        super::print_json(&explanation);
    } else {
        explanation.print();
    }
    Ok(())
}

/// What INTERFACE.md calls the plan: every part, what is done, why, sizes before and after.
#[derive(Debug, Serialize)]
struct Explanation {
    /// The Contact it is for.
    to: String,
    /// `unchanged`, `adapt` or `refuse`.
    verdict: &'static str,
    /// The status of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
    #[serde(flatten)]
    plan: Report,
    /// Content-Adapted as the terminal would read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_adapted: Option<String>,
}

struct Terminal {
    contact: String,
    cpi: Cpi,
}

fn terminal(args: &ExplainArgs, config: &Config) -> Result<Terminal, Failure> {
    let register = MessageFile::read(&args.to)?;
    let extensions = config.cpi.extensions.iter().collect();
    let headers = match config.cpi.from_register_accept {
        true => cpi::decode::from_headers(register.pairs(), &extensions).0,
        false => Cpi::default(),
    };
    let contacts: Vec<&[u8]> = register
        .pairs()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"Contact"))
        .flat_map(|(_, value)| grammar::split_commas(value))
        .collect();
    let Some(contact) = args.contact.checked_sub(1).and_then(|at| contacts.get(at)) else {
        let found = contacts.len();
        return Err(Failure::file(
            &args.to,
            format!("has {found} Contacts, so none is number {}", args.contact),
        ));
    };
    let address = sip::NameAddr::parse(contact)
        .map_err(|error| Failure::file(&args.to, format!("has a Contact that can't be read: {error}")))?;
    let said = cpi::contact::decode(address.params(), &extensions);
    let cpi = cpi::merge::binding(&headers, &said);
    Ok(Terminal { contact: String::from_utf8_lossy(address.uri_octets()).into_owned(), cpi })
}

fn explain(args: &ExplainArgs, config: &Config, message: &MessageFile, terminal: &Terminal) -> Explanation {
    let entity = message.entity();
    let converters = crate::app::media::Media::find(config).converters();
    let mut settings = crate::app::settings::adapter_with_links(config, &converters);
    let domains: Vec<&str> = config.domain.iter().map(|domain| domain.name.as_str()).collect();
    settings.sealed = adapter::seals_body(message.pairs(), &domains);
    let described: u64 = entity.fields.iter().map(adapter::Field::octets).sum();
    let budget = Budget { message: args.budget, head: message.head.saturating_sub(described) };
    let known = (!terminal.cpi.is_unknown()).then_some(&terminal.cpi);
    let mut plan = adapter::plan(&entity, known, &settings, budget);
    let to = terminal.contact.clone();
    loop {
        match plan.verdict() {
            Verdict::Unchanged => return Explanation::of(to, "unchanged", plan.report().clone()),
            Verdict::Refuse(refusal) => return Explanation::refused(to, plan.report().clone(), refusal),
            Verdict::Adapt => {}
        }
        let report = plan.report().clone();
        match carry_out(plan, config) {
            Ok(Built::Done(adapted)) => return Explanation::adapted(to, *adapted),
            Ok(Built::Again(next)) => plan = *next,
            Err(refusal) => return Explanation::refused(to, report, *refusal),
        }
    }
}

fn carry_out(plan: Plan, config: &Config) -> Result<Built, Box<Refusal>> {
    let outcomes = plan.jobs().iter().map(|job| job.run(&|| false)).collect();
    let base = config.http.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
    let expires = SystemTime::now() + Duration::from_secs(7 * 86_400);
    let links = plan.links().into_iter().map(|request| Link {
        id: request.id,
        url: format!("{}/c/{:A<22}", base.trim_end_matches('/'), request.id),
        expires,
    });
    let links = links.collect();
    plan.build(outcomes, links)
}

impl Explanation {
    const fn of(to: String, verdict: &'static str, plan: Report) -> Self {
        Self { to, verdict, refusal: None, plan, content_adapted: None }
    }

    fn refused(to: String, plan: Report, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::of(to, "refuse", plan) }
    }

    fn adapted(to: String, adapted: Adapted) -> Self {
        let note = adapted.set.iter().chain(&adapted.append).find(|field| field.is("Content-Adapted"));
        let content_adapted = note.map(|field| String::from_utf8_lossy(&field.value).into_owned());
        Self { content_adapted, ..Self::of(to, "adapt", adapted.report) }
    }

    fn print(&self) {
        say(&format!("to {}: {}", self.to, self.plan.summary));
        if let Some(refusal) = &self.refusal {
            say(&format!("refused: {refusal}"));
        }
        for part in &self.plan.parts {
            say(table::part(part).trim_end());
        }
        let limit = self.plan.budget.map(|octets| format!(", at most {octets}")).unwrap_or_default();
        say(&format!("body: {} -> {} octets{limit}", self.plan.octets_before, self.plan.octets_after));
        if let Some(note) = &self.content_adapted {
            say(&format!("Content-Adapted: {note}"));
        }
    }
}
