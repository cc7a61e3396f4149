//! The services a request went through, as a pattern: `gateway > ** > orders`.

use crate::pattern::Pattern;

/// Elements of one path.
const ELEMENTS: usize = 32;

/// A pattern over the services from the top of a trace downwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePath(Vec<Element>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    /// `**`: any number of services, none included.
    Any,
    /// One service; its name may hold wildcards.
    One(Pattern),
}

impl ServicePath {
    /// Reads a path.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('>').map(str::trim).collect();
        if parts.len() > ELEMENTS {
            return Err(format!("a path of more than {ELEMENTS} services"));
        }
        let element = |part: &&str| match *part {
            "" => Err("a path with nothing between two arrows".to_owned()),
            "**" => Ok(Element::Any),
            name if name.contains("**") || name.chars().any(char::is_whitespace) => {
                Err(format!("{name:?} is no service of a path"))
            }
            name => Ok(Element::One(Pattern::parse(name).lower())),
        };
        parts.iter().map(element).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the services, topmost first, are such a path, without regard to case. Costs elements times services.
    pub fn matches(&self, services: &[&str]) -> bool {
        let services: Vec<String> = services.iter().map(|service| service.to_ascii_lowercase()).collect();
        // reached[n]: the elements so far can stand for the first n services
        let mut reached = vec![false; services.len() + 1];
        reached[0] = true;
        for element in &self.0 {
            let mut next = vec![false; services.len() + 1];
            for n in 0..=services.len() {
                next[n] = match element {
                    Element::Any => reached[n] || n > 0 && next[n - 1],
                    Element::One(name) => n > 0 && reached[n - 1] && name.matches(&services[n - 1]),
                };
            }
            reached = next;
        }
        reached[services.len()]
    }
}
