//! The example file with an operator's values.

use std::collections::BTreeMap;

use super::EXAMPLE;

/// The annotated example with these TOML values; lines that are commented out with `#` become active. Keys are
/// written as `authn.client_id`, and in a list of tables as `resources.url`.
pub(crate) fn filled_example(values: &BTreeMap<&str, String>) -> String {
    let mut section = String::new();
    let mut out = String::with_capacity(EXAMPLE.len());
    for line in EXAMPLE.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        let header = bare.strip_prefix('[').map(|header| format!("{}.", header.trim_matches(['[', ']'])));
        let value = bare
            .split_once(" = ")
            .and_then(|(name, _)| Some((name, values.get(&*format!("{section}{name}"))?)));
        match (header, value) {
            (Some(header), _) => {
                // A table that is commented out also starts a section.
                let is_filled = values.keys().any(|key| key.strip_prefix(&header).is_some_and(is_name));
                out.push_str(if is_filled { bare } else { line });
                section = header;
            }
            (None, Some((name, value))) => out.extend([name, " = ", value]),
            (None, None) => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn is_name(rest: &str) -> bool {
    !rest.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_at_their_places_and_the_rest_stays() {
        let values = [
            ("listen", "\"127.0.0.1:1\""),
            ("authn.scopes", "[\"a\"]"),
            ("access.domains", "[\"d\"]"),
            ("repository.kind", "\"k\""),
            ("repository.url", "\"u\""),
        ];
        let filled = filled_example(&values.map(|(key, value)| (key, value.to_owned())).into());
        let changed: Vec<_> =
            filled.lines().zip(EXAMPLE.lines()).filter(|(new, old)| new != old).map(|(new, _)| new).collect();
        let expected = [
            "listen = \"127.0.0.1:1\"",
            "scopes = [\"a\"]",
            "[access]",
            "domains = [\"d\"]",
            "kind = \"k\"",
            "url = \"u\"",
        ];
        assert_eq!(changed, expected);
    }
}
