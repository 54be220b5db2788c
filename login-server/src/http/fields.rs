/// The fields of a query or form, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

/// Fields that are read at all: no form here has as many.
const MOST: usize = 32;

impl Fields {
    pub(crate) fn read(text: &[u8]) -> Self {
        Self(
            form_urlencoded::parse(text)
                .take(MOST)
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// The first field of this name; empty if there is none.
    pub(crate) fn first(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map_or("", |(_, value)| value)
    }

    /// The one field of this name: `None` if there is none, an error if there are several.
    pub(crate) fn only(&self, name: &str) -> Result<Option<&str>, Several> {
        let mut all = self.0.iter().filter(|(other, _)| other == name);
        let first = all.next().map(|(_, value)| value.as_str());
        if all.next().is_some() {
            Err(Several)
        } else {
            Ok(first)
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }
}

/// A parameter that may stand once stands several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Several;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_given_twice_is_noticed() {
        let fields = Fields::read(b"a=1&b=2&a=3&c=%20x+y&d");
        assert_eq!(fields.only("a"), Err(Several));
        assert_eq!(fields.only("b"), Ok(Some("2")));
        assert_eq!(fields.only("c"), Ok(Some(" x y")));
        assert_eq!(fields.only("d"), Ok(Some("")));
        assert_eq!(fields.only("e"), Ok(None));
        assert_eq!(fields.first("a"), "1");
    }
}
