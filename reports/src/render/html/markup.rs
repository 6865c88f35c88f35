//! Markup that can't be broken by what it shows: elements close themselves, and every text and attribute is escaped
//! here and nowhere else.
//!
//! What comes out is HTML and well-formed XML at once, so that a strict reader can check it.

use crate::render::words;
use std::fmt::{self, Display, Write};

/// Attributes of an element, in order.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

/// A piece of a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Markup(String);

impl Markup {
    /// `<tag …>` with what `inside` writes, and its end.
    pub(super) fn within(&mut self, tag: &str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.begin(tag, attributes, ">");
        inside(self);
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
    }

    /// An element with a text in it.
    pub(super) fn element(&mut self, tag: &str, attributes: Attributes<'_>, text: &str) {
        self.within(tag, attributes, |m| m.text(text));
    }

    /// An element with nothing in it: a shape of SVG, or one that HTML never gives an end.
    pub(super) fn leaf(&mut self, tag: &str, attributes: Attributes<'_>) {
        self.begin(tag, attributes, "/>");
    }

    /// Text.
    pub(super) fn text(&mut self, text: &str) {
        self.escaped(&text);
    }

    /// What was made elsewhere.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// A line end, so that the document can be read and diffed.
    pub(super) fn line(&mut self) {
        self.0.push('\n');
    }

    /// Text of our own that must stand as it is: a style sheet.
    pub(super) fn verbatim(&mut self, ours: &'static str) {
        self.0.push_str(ours);
    }

    /// The document.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn begin(&mut self, tag: &str, attributes: Attributes<'_>, end: &str) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.escaped(value);
            self.0.push('"');
        }
        self.0.push_str(end);
    }

    fn escaped(&mut self, text: &dyn Display) {
        // Writing into a String does not fail, and neither do the texts and numbers that come here.
        let _ = write!(Escaping(&mut self.0), "{text}");
    }
}

/// Escapes what is written through it, for texts and for attributes in double quotes.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match words::clean_char(c) {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// A position or length in a picture: one decimal is finer than a screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Px(pub(super) f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() as i64 } else { 0 };
        match (tenths / 10, tenths % 10) {
            (whole, 0) => write!(f, "{whole}"),
            _ => write!(f, "{:.1}", tenths as f64 / 10.0),
        }
    }
}

/// A name as a part of a relative address: nothing in it leads out of its folder or to another scheme.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'.' if self.0.trim_matches('.').is_empty() => f.write_str("%2E")?,
                b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => write!(f, "{}", char::from(b))?,
                b => write!(f, "%{b:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_becomes_markup() {
        let mut m = Markup::default();
        let hostile = "</script><img src=x onerror='alert(1)'>\"&\0\u{1b}[31m";
        m.within("p", &[("title", &hostile)], |m| m.text(hostile));
        let shown =
            "&lt;/script&gt;&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&quot;&amp;\u{fffd}\u{fffd}[31m";
        assert_eq!(m.into_string(), format!("<p title=\"{shown}\">{shown}</p>"));
    }

    #[test]
    fn an_address_stays_in_its_folder() {
        let shown = |name: &str| Escaped(name).to_string();
        assert_eq!(shown("20261123T174338Z-main-1.2"), "20261123T174338Z-main-1.2");
        assert_eq!([shown("javascript:x"), shown("../a\"é")], ["javascript%3Ax", "..%2Fa%22%C3%A9"]);
        assert_eq!(shown(".."), "%2E%2E");
    }

    #[test]
    fn positions_are_short_and_always_numbers() {
        let shown = |v: f64| Px(v).to_string();
        assert_eq!([shown(12.0), shown(12.34), shown(-0.25), shown(0.04)], ["12", "12.3", "-0.3", "0"]);
        assert_eq!([shown(f64::NAN), shown(f64::INFINITY)], ["0", "0"]);
    }
}
