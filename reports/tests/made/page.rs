//! A reader of pages: as strict as XML, so that nothing is left open and nothing foreign gets in.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// A document as a strict reader sees it.
#[derive(Default)]
pub struct Page {
    /// All text, element by element.
    pub texts: Vec<String>,
    /// Names of all elements, in order.
    pub elements: Vec<String>,
    /// Names and values of all attributes.
    pub attributes: Vec<(String, String)>,
}

impl Page {
    /// Reads it; an element that is not closed, or a character that XML forbids, ends the test.
    pub fn read(html: &str) -> Self {
        let body = html.strip_prefix("<!DOCTYPE html>\n").expect("it says that it is HTML");
        assert!(body.chars().all(|c| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..)));
        let mut reader = Reader::from_str(body);
        let (mut page, mut open) = (Self::default(), Vec::new());
        loop {
            match reader.read_event().unwrap_or_else(|e| panic!("at {}: {e}", reader.buffer_position())) {
                Event::Start(e) => {
                    page.element(&e);
                    open.push(e.name().as_ref().to_vec());
                    page.texts.push(String::new());
                }
                Event::Empty(e) => page.element(&e),
                Event::End(e) => assert_eq!(open.pop().as_deref(), Some(e.name().as_ref())),
                Event::Text(t) => page.add(&t.decode().unwrap()),
                Event::GeneralRef(r) => page.add(&entity(&r.decode().unwrap())),
                Event::Eof => break,
                other => panic!("{other:?} has no place in a report"),
            }
        }
        assert!(open.is_empty(), "{open:?} not closed");
        page
    }

    fn element(&mut self, e: &BytesStart<'_>) {
        self.elements.push(String::from_utf8(e.name().as_ref().to_vec()).unwrap());
        for attribute in e.attributes() {
            let attribute = attribute.unwrap();
            let name = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            let value = String::from_utf8(attribute.value.to_vec()).unwrap();
            self.attributes.push((name, value));
        }
    }

    fn add(&mut self, text: &str) {
        if let Some(last) = self.texts.last_mut() {
            last.push_str(text);
        }
    }

    /// True when some text holds this one.
    pub fn says(&self, text: &str) -> bool {
        self.texts.iter().any(|t| t.contains(text))
    }

    /// How many elements of a name there are.
    pub fn count(&self, element: &str) -> usize {
        self.elements.iter().filter(|e| *e == element).count()
    }

    /// Values of all attributes of a name.
    pub fn values<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.attributes.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

fn entity(name: &str) -> String {
    match name {
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "amp" => "&".to_owned(),
        "quot" => "\"".to_owned(),
        "#39" => "'".to_owned(),
        other => panic!("&{other}; isn't one that is written here"),
    }
}
