//! The page around the report: its head, its style, its navigation.

use super::markup::Markup;

/// Forbids the browser to run or load anything, whatever got into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("style.css");

/// The document.
pub(super) fn page(title: &str, body: &Markup) -> String {
    let mut m = Markup::default();
    m.verbatim("<!DOCTYPE html>\n");
    m.within("html", &[("lang", &"en")], |m| {
        m.within("head", &[], |m| {
            m.leaf("meta", &[("charset", &"utf-8")]);
            m.leaf("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
            m.leaf("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
            m.leaf("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            m.element("title", &[], title);
            m.within("style", &[], |m| m.verbatim(STYLE));
        });
        m.line();
        m.within("body", &[], |m| {
            // Patterns that several pictures fill with; without a size of its own.
            m.verbatim(HATCH);
            m.within("main", &[], |m| m.append(body));
        });
    });
    m.line();
    m.into_string()
}

/// Stripes for work that was in vain.
const HATCH: &str = "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" class=\"defs\"><defs>\
    <pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
    <rect width=\"2\" height=\"5\" class=\"stripe\"/></pattern></defs></svg>\n";

/// Links to the parts of the page.
pub(super) fn navigation(m: &mut Markup, parts: &[(&str, &str)]) {
    m.within("nav", &[("aria-label", &"Parts of the report")], |m| {
        for (id, name) in parts {
            m.element("a", &[("href", &format!("#{id}"))], name);
        }
    });
    m.line();
}
