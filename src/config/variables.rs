//! Reads keys from environment variables.

use std::collections::BTreeMap;

use super::{
    lookup::find,
    problem::{Complaint, Place, Problem},
    secret_source::unquoted,
    settings::{Given, Settings, Value},
    table::{FILE_SUFFIX, FILE_VARIABLE, Kind, LEGACY, PREFIX},
    unknown,
};

/// Sets keys from variables. An empty variable counts as not set, except for lists of who may sign in: there it is
/// an empty list.
pub(super) fn read(
    settings: &mut Settings,
    variables: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) {
    for (legacy, path) in LEGACY {
        if let Some((name, value)) = variables.get_key_value(legacy).filter(|(_, value)| !value.is_empty())
            && let Some(key) = find(path)
        {
            set(settings, (path, key.kind), name, value, problems);
        }
    }
    if let Some(Err(complaint)) = variables.get(FILE_VARIABLE).map(|value| unquoted(value)) {
        problems.push(complaint.at(Place::Variable(FILE_VARIABLE.to_owned()), ""));
    }
    let ours = variables.iter().filter(|(name, _)| name.starts_with(PREFIX) && *name != FILE_VARIABLE);
    for (name, value) in ours {
        let meaning = meaning(name);
        if value.is_empty() && meaning.as_ref().is_none_or(|(_, kind)| *kind != Kind::AllowList) {
            continue;
        }
        match meaning {
            Some((path, kind)) => set(settings, (&path, kind), name, value, problems),
            None => read_file_form(settings, name, value, variables, problems),
        }
    }
}

/// Sets a key. Secrets are read and validated later.
fn set(
    settings: &mut Settings,
    (path, kind): (&str, Kind),
    name: &str,
    value: &str,
    problems: &mut Vec<Problem>,
) {
    let place = Place::Variable(name.to_owned());
    match unquoted(value) {
        Err(complaint) if kind != Kind::Secret => problems.push(complaint.at(place, path)),
        text => settings.set(path, value_of(kind, name, text.unwrap_or(value)), place),
    }
}

/// The path and type of the key of a variable.
fn meaning(name: &str) -> Option<(String, Kind)> {
    let words = name.strip_prefix(PREFIX)?;
    let path = words.to_lowercase().replace("__", ".");
    let key = find(&path).filter(|_| words.to_uppercase() == words)?;
    Some((path, key.kind))
}

/// `…_FILE` names a file with the secret. It excludes the variable that contains the secret itself.
fn read_file_form(
    settings: &mut Settings,
    name: &str,
    value: &str,
    variables: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) {
    let place = Place::Variable(name.to_owned());
    let direct = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
    match meaning(direct).filter(|(_, kind)| matches!(kind, Kind::Secret | Kind::TextOrSecret)) {
        None => problems.push(unknown::variable(name).at(place, "")),
        Some((path, _)) if variables.get(direct).is_some_and(|value| !value.is_empty()) => {
            let what = format!("`{direct}` is also set");
            problems.push(Complaint::new(what, "Unset one of them").at(place, &path));
        }
        Some((path, _)) => match unquoted(value) {
            Err(complaint) => problems.push(complaint.at(place, &path)),
            Ok(value) => settings.set(&path, source(&place, "file", value), place.clone()),
        },
    }
}

fn value_of(kind: Kind, name: &str, value: &str) -> Value {
    let place = Place::Variable(name.to_owned());
    let text = || Value::Text(value.to_owned());
    match kind {
        Kind::Boolean => value.parse().map_or_else(|_| text(), Value::Boolean),
        Kind::Number => value.parse().map_or_else(|_| text(), Value::Number),
        Kind::TextOrList if !value.contains(',') => text(),
        Kind::List | Kind::AllowList | Kind::TextOrList => Value::List(
            value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Given { value: Value::Text(item.to_owned()), place: place.clone() })
                .collect(),
        ),
        Kind::Secret => source(&place, "env", name),
        Kind::Text | Kind::TextOrSecret | Kind::Url | Kind::Path | Kind::Duration | Kind::Choice(_) => text(),
    }
}

/// The source of a secret, as it is written in the file.
fn source(place: &Place, form: &str, of: &str) -> Value {
    let given = Given { value: Value::Text(of.to_owned()), place: place.clone() };
    Value::Table(BTreeMap::from([(form.to_owned(), given)]))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{keys::KEYS, table::Key},
        *,
    };

    fn read_all(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (mut settings, mut problems) = (Settings::default(), Vec::new());
        read(&mut settings, &variables.collect(), &mut problems);
        (settings, problems.iter().map(ToString::to_string).collect())
    }

    /// A variable's text, and how a file would say it.
    fn sample(key: &Key) -> (&'static str, Value) {
        let text = |text: &str| Value::Text(text.to_owned());
        match key.kind {
            Kind::Boolean => ("false", Value::Boolean(false)),
            Kind::Number => ("7", Value::Number(7)),
            Kind::List | Kind::AllowList => (
                "a, b",
                Value::List(["a", "b"].map(|t| Given { value: text(t), place: Place::Nowhere }).into()),
            ),
            Kind::Secret => ("canary", Value::Table(BTreeMap::new())),
            _ => ("x", text("x")),
        }
    }

    #[test]
    fn every_key_has_an_environment_form() {
        for key in KEYS {
            let (text, value) = sample(key);
            let (settings, problems) = read_all(&[(&key.variable(), text)]);
            let given = settings.get(&key.path.replace('#', "0")).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(given.value.describe(), value.describe(), "{}", key.path);
            assert!(given.place == Place::Variable(key.variable()));
            match (&given.value, &value) {
                (Value::Text(got), Value::Text(expected)) => assert_eq!(got, expected),
                (Value::List(got), Value::List(expected)) => assert_eq!(got.len(), expected.len()),
                (Value::Number(got), Value::Number(expected)) => assert_eq!(got, expected),
                (Value::Boolean(got), Value::Boolean(expected)) => assert_eq!(got, expected),
                _ => assert!(key.kind == Kind::Secret),
            }
        }
    }

    #[test]
    fn a_secret_can_be_in_a_variable_or_in_a_file_that_one_names_but_not_both() {
        let name = "PANGEA_MCP_AUTH_AUTHN__CLIENT_SECRET";
        let file = "PANGEA_MCP_AUTH_AUTHN__CLIENT_SECRET_FILE";
        for (variables, form) in [([(name, "s")], "env"), ([(file, "/s")], "file")] {
            let (settings, problems) = read_all(&variables);
            let Value::Table(source) = &settings.get("authn.client_secret").unwrap().value else { panic!() };
            assert!(source.contains_key(form) && problems.is_empty());
        }
        let (_, problems) = read_all(&[(name, "s"), (file, "/s")]);
        assert_eq!(
            problems,
            [format!("${file}: authn.client_secret: `{name}` is also set. Unset one of them.")]
        );
    }

    #[test]
    fn an_empty_variable_is_not_set_but_an_empty_allow_list_lets_nobody_in() {
        for (name, is_set) in [
            ("PANGEA_MCP_AUTH_ACCESS__EMAILS", true),
            ("PANGEA_MCP_AUTH_ACCESS__DOMAINS", true),
            ("PANGEA_MCP_AUTH_ACCESS__GROUPS", true),
            ("PANGEA_MCP_AUTH_ACCESS__EVERYBODY", false),
            ("PANGEA_MCP_AUTH_TRUSTED_PROXIES", false),
            ("PANGEA_MCP_AUTH_LISTEN", false),
        ] {
            let (settings, problems) = read_all(&[(name, "")]);
            let (path, _) = meaning(name).unwrap();
            assert_eq!((settings.get(&path).is_some(), problems), (is_set, vec![]), "{name}");
        }
    }

    #[test]
    fn quotation_marks_around_a_value_are_a_mistake_wherever_it_is_for() {
        for name in [
            "PANGEA_MCP_AUTH_PUBLIC_URL",
            "PANGEA_MCP_AUTH_ACCESS__DOMAINS",
            "PANGEA_MCP_AUTH_REPOSITORY__URL",
            "PANGEA_MCP_AUTH_AUTHN__CLIENT_SECRET_FILE",
            "PANGEA_MCP_AUTH_CONFIG",
            "PANGEA_AUTHN_CLIENT_ID",
        ] {
            for quoted in ["\"canary\"", "'canary'"] {
                let (_, problems) = read_all(&[(name, quoted)]);
                let told = problems.iter().filter(|problem| problem.contains("quotation marks"));
                assert_eq!(told.count(), 1, "{problems:?}");
                assert!(problems[0].starts_with(&format!("${name}: ")) && !problems[0].contains("canary"));
            }
        }
    }

    #[test]
    fn legacy_names_stand_below_the_new_ones() {
        let legacy = ("PANGEA_AUTHN_CLIENT_ID", "old");
        let text = |settings: &Settings| match &settings.get("authn.client_id").unwrap().value {
            Value::Text(text) => text.clone(),
            _ => String::new(),
        };
        assert_eq!(text(&read_all(&[legacy]).0), "old");
        assert_eq!(text(&read_all(&[legacy, ("PANGEA_MCP_AUTH_AUTHN__CLIENT_ID", "new")]).0), "new");
        for (name, path) in LEGACY {
            assert!(read_all(&[(name, "x")]).0.get(path).is_some(), "{name}");
        }
    }

    #[test]
    fn an_unknown_variable_is_a_problem_with_a_suggestion() {
        for (name, fix) in [
            ("PANGEA_MCP_AUTH_LISTE", "Did you mean `PANGEA_MCP_AUTH_LISTEN`?"),
            ("PANGEA_MCP_AUTH_listen", "Did you mean `PANGEA_MCP_AUTH_LISTEN`?"),
            (
                "PANGEA_MCP_AUTH_TOKENS_ACCESS_LIFETIME",
                "Did you mean `PANGEA_MCP_AUTH_TOKENS__ACCESS_LIFETIME`?",
            ),
            ("PANGEA_MCP_AUTH_RESOURCES__URL", "Did you mean `PANGEA_MCP_AUTH_RESOURCES__0__URL`?"),
            ("PANGEA_MCP_AUTH_LISTEN_FILE", "Unset it; docs/configuration.md lists the variables."),
            ("PANGEA_MCP_AUTH_WEATHER_TODAY", "Unset it; docs/configuration.md lists the variables."),
            (
                "PANGEA_MCP_AUTH_RESOURCES__99999999999999999999__URL",
                "Unset it; docs/configuration.md lists the variables.",
            ),
        ] {
            let (_, problems) = read_all(&[(name, "x")]);
            assert_eq!(problems, [format!("${name}: unknown variable. {fix}")]);
        }
        let (_, problems) =
            read_all(&[(FILE_VARIABLE, "x"), ("PANGEA_OTHER", "x"), ("PANGEA_MCP_AUTH_X", "")]);
        assert!(problems.is_empty());
    }
}
