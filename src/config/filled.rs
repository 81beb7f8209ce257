//! The example file with a person's own values in it.

use std::collections::BTreeMap;

use super::EXAMPLE;

/// The annotated example with these values, in TOML, at their keys' places: a line that a `#` switches
/// off is switched on. Keys are written as `authn.client_id`; those of a list of tables as
/// `resources.url`.
#[must_use]
pub fn filled_example(values: &BTreeMap<&str, String>) -> String {
    let mut section = String::new();
    let mut out = String::with_capacity(EXAMPLE.len());
    for line in EXAMPLE.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        // A table that is switched off has its keys below it, too.
        if let Some(header) = bare.strip_prefix('[') {
            section = format!("{}.", header.trim_matches(['[', ']']));
        }
        match bare
            .split_once(" = ")
            .and_then(|(name, _)| Some((name, values.get(&*format!("{section}{name}"))?)))
        {
            Some((name, value)) => out.extend([name, " = ", value]),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_at_their_places_and_the_rest_stays() {
        let values = [
            ("listen", "\"127.0.0.1:1\""),
            ("authn.scopes", "[\"a\"]"),
            ("repository.kind", "\"k\""),
            ("repository.url", "\"u\""),
        ];
        let filled = filled_example(&values.map(|(key, value)| (key, value.to_owned())).into());
        let changed: Vec<_> =
            filled.lines().zip(EXAMPLE.lines()).filter(|(new, old)| new != old).map(|(new, _)| new).collect();
        assert_eq!(changed, ["listen = \"127.0.0.1:1\"", "scopes = [\"a\"]", "kind = \"k\"", "url = \"u\""]);
    }
}
