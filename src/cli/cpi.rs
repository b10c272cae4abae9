//! `bespoke cpi FILE.msg` and `bespoke cpi FILE --expr`: the form of `tests/data/messages/INDEX.json`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Failure;
use super::message_file::{MessageFile, read_file};

#[derive(clap::Args, Debug)]
pub(super) struct CpiArgs {
    /// A SIP or HTTP message; `-` is standard input
    file: PathBuf,
    /// The file holds one feature-set expression (RFC 2533), not a message
    #[arg(long)]
    expr: bool,
    /// Names of further numeric parameters, as `cpi.extensions`
    #[arg(long, value_name = "NAME")]
    extension: Vec<String>,
}

pub(super) fn run(args: &CpiArgs) -> Result<(), Failure> {
    let described = if args.expr { expression(args)? } else { message(args)? };
    super::print_json(&described);
    Ok(())
}

fn message(args: &CpiArgs) -> Result<Value, Failure> {
    let message = MessageFile::read(&args.file)?;
    let extensions = args.extension.iter().collect();
    let (cpi, diags) = cpi::index::describe(&message.start, message.pairs(), &extensions);
    let described = adapter::mime::describe(&message.entity(), &adapter::Guards::default());
    let mut out = Map::new();
    if let Some(cpi) = cpi {
        out.insert("cpi".to_owned(), json!(cpi));
    }
    if let Some(adapted) = described.content_adapted {
        out.insert("content-adapted".to_owned(), json!(adapted));
    }
    if let Some(mime) = described.mime {
        out.insert("mime".to_owned(), json!(mime));
    }
    let mut diag: Vec<Value> = diags.iter().map(|diag| json!(diag)).collect();
    diag.extend(described.diag.into_iter().map(Value::String));
    if !diag.is_empty() {
        out.insert("diag".to_owned(), Value::Array(diag));
    }
    Ok(Value::Object(out))
}

fn expression(args: &CpiArgs) -> Result<Value, Failure> {
    let octets = read_file(&args.file)?;
    let text = std::str::from_utf8(&octets).map_err(|_| not_text(&args.file))?;
    let extensions = args.extension.iter().collect();
    Ok(json!({ "expect": cpi::expr::parse(text, &extensions) }))
}

fn not_text(path: &Path) -> Failure {
    Failure::file(path, "is not UTF-8 text; an expression is")
}
