//! The page of the operators: what runs here and where to look further. Plain HTML, no script.

use std::fmt::Write;

/// The page with those facts; `trouble` is why no traffic should come.
pub(super) fn render(facts: &[(String, String)], trouble: Option<&str>) -> String {
    let mut rows = String::new();
    for (name, value) in facts {
        let _infallible = writeln!(rows, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    }
    let state = match trouble {
        None => "<p class=good>Ready to take traffic.</p>".to_owned(),
        Some(trouble) => format!("<p class=bad>Not ready: {}.</p>", escape(trouble)),
    };
    format!("{HEAD}{state}\n<table>\n{rows}</table>\n{FOOT}")
}

const HEAD: &str = "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Bespoke</title>\n<style>\n\
    body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}\n\
    th{text-align:left;padding-right:2rem;vertical-align:top}.good{color:#176117}.bad{color:#a01212}\n\
    </style>\n<h1>Bespoke</h1>\n";

const FOOT: &str =
    "<p><a href=/metrics>metrics</a> · <a href=/healthz>healthz</a> · <a href=/readyz>readyz</a></p>\n";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_of_the_config_can_not_become_markup() {
        let facts = [("domain".to_owned(), "<script>\"&".to_owned())];
        let page = super::render(&facts, None);
        assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script>"));
    }
}
