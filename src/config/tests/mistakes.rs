//! Each mistake has its words.

use super::*;

pub(super) const RESOURCE: &str = "url = \"https://mcp.example.org/mcp\"";

/// Each text has one problem, and these words are in it.
pub(super) fn assert_mistakes<const N: usize>(mistakes: [(String, &str); N]) {
    for (text, expected) in mistakes {
        let lines = problems(&text);
        assert!(
            lines.len() == 1 && lines[0].contains(expected),
            "{text}\nexpected: {expected}\ngot: {lines:#?}"
        );
        assert!(!lines[0].contains("canary"));
    }
}

/// The minimal configuration with `authn = 3` in the place of its table.
fn with_authn_as_number() -> String {
    let (top, rest) = MINIMAL.split_once("[authn]").unwrap();
    let (_, rest) = rest.split_once("[[resources]]").unwrap();
    format!("authn = 3\n{top}[[resources]]{rest}")
}

#[test]
fn mistakes_of_top_level_have_their_words() {
    assert_mistakes([
        (
            with("", "public_url = \"https://mcp.example.org\""),
            "config.toml: public_url: is missing. Add `public_url = \"https://auth.example.org\"` at the top of the file, before the first `[section]`.",
        ),
        (
            with("public_url = \"https://mcp.example.org/\"", "public_url = \"https://mcp.example.org\""),
            "public_url: \"https://mcp.example.org/\" is invalid. Write it as \"https://mcp.example.org\": clients compare",
        ),
        (
            with("public_url = \"https://mcp.example.org/a/:b\"", "public_url = \"https://mcp.example.org\""),
            "public_url: the path of \"https://mcp.example.org/a/:b\" is invalid. Use a path of letters",
        ),
        (
            with("public_url = \"https://u:canary@h\"", "public_url = \"https://mcp.example.org\""),
            "public_url: this URL is invalid: an issuer has no query, fragment or credentials.",
        ),
        (
            format!("listen = \"0.0.0.0\"\n{MINIMAL}"),
            "config.toml:1: listen: \"0.0.0.0\" is not an address with a port. Write it like",
        ),
        (format!("listen = []\n{MINIMAL}"), "config.toml:1: listen: is an empty list. List at least one"),
        (
            format!("listen = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:1\"\n{MINIMAL}"),
            "config.toml:2: admin_listen: \"127.0.0.1:1\" is used by another listener. Choose another port.",
        ),
        (
            format!("trusted_proxies = [\n\"10.0.0.0/8\",\n\"10.0.0.0/64\"]\n{MINIMAL}"),
            "config.toml:3: trusted_proxies: \"10.0.0.0/64\" is neither an address nor a network.",
        ),
        (
            format!("trusted_proxies = \"::1\"\n{MINIMAL}"),
            "config.toml:1: trusted_proxies: is text, not a list. Write it as a list",
        ),
        (
            format!("{MINIMAL}[weather]\ntoday = \"rain\""),
            "config.toml:12: weather: unknown key. Remove it, or use one of: public_url, issuer",
        ),
    ]);
}

#[test]
fn mistakes_of_authn_have_their_words() {
    assert_mistakes([
        (
            with("", "client_id = \"psa_x\""),
            "config.toml:2: authn.client_id: is missing. Add `client_id = \"psa_xxxxxxxx\"` under `[authn]`.",
        ),
        (with_authn_as_number(), "config.toml:1: authn: is a table. Write `[authn]` on its own line"),
        (
            with(
                "issuer_url = \"http://pangea.example\"",
                "issuer_url = \"https://pdn-x.login.aws.us.pangea.cloud\"",
            ),
            "config.toml:3: authn.issuer_url: \"http://pangea.example\" would send secrets in clear text. Use https; http is accepted only for a loopback host.",
        ),
        (
            with(
                "issuer_url = \"https://p.example?x\"",
                "issuer_url = \"https://pdn-x.login.aws.us.pangea.cloud\"",
            ),
            "authn.issuer_url: \"https://p.example?x\" has a query.",
        ),
        (with("client_id = \" \"", "client_id = \"psa_x\""), "authn.client_id: is empty. Enter a value"),
        (
            with("client_id = \"psa_x\"\nscopes = [\"mcp.read\"]", "client_id = \"psa_x\""),
            "config.toml:5: authn.scopes: \"mcp.read\" is not a valid upstream scope. Pangea scopes",
        ),
        (
            with("client_id = \"psa_x\"\napi_url = \"https://a.example\"", "client_id = \"psa_x\""),
            "config.toml:5: authn.api_url: also needs `authn.service_token`. Add",
        ),
        (
            with("client_id = \"psa_x\"\ntimeout = \"11s\"", "client_id = \"psa_x\""),
            "authn.timeout: \"11s\" is out of range. Choose from \"1s\" to \"10s\".",
        ),
        (
            with("client_id = \"psa_x\"\ntimeout = 5", "client_id = \"psa_x\""),
            "authn.timeout: is a number, not a duration. Write it like \"10m\"",
        ),
        (
            with("client_id = \"psa_x\"\npkce = \"no\"", "client_id = \"psa_x\""),
            "authn.pkce: is text, not true or false. Write `true` or `false`, without",
        ),
        (
            with("client_id = \"psa_x\"\naccess_lifetime = \"1m\"", "client_id = \"psa_x\""),
            "config.toml:5: authn.access_lifetime: unknown key. `access_lifetime` belongs under `[tokens]`.",
        ),
        (
            with("client_id = \"psa_x\"\nlisten = \"x\"", "client_id = \"psa_x\""),
            "authn.listen: unknown key. `listen` belongs at the top of the file, before the first `[section]`.",
        ),
    ]);
}

#[test]
fn mistakes_of_resources_have_their_words() {
    let second = |lines: &str| format!("{RESOURCE}\n[[resources]]\n{lines}");
    assert_mistakes([
        (
            MINIMAL.replace(RESOURCE, "").replace("[[resources]]", ""),
            "config.toml: resources: no MCP server is configured. Add `[[resources]]`",
        ),
        (
            with("name = \"x\"", RESOURCE),
            "config.toml:6: resources.0.url: is missing. Add `url = \"https://mcp.example.org/mcp\"` under `[[resources]]`.",
        ),
        (
            with("[resources]", "[[resources]]"),
            "config.toml:6: resources: is a list of tables. Begin each table with `[[resources]]` on its own line",
        ),
        (
            with("url = \"http://h.example/mcp\"", RESOURCE),
            "resources.0.url: \"http://h.example/mcp\" would send secrets in clear text.",
        ),
        (
            with(&second("url = \"HTTPS://mcp.example.org/mcp\""), RESOURCE),
            "config.toml:9: resources.1.url: \"HTTPS://mcp.example.org/mcp\" is not in canonical form. Write it as \"https://mcp.example.org/mcp\": tokens",
        ),
        (
            with(&second("url = \"https://mcp.example.org/mcp/\""), RESOURCE),
            "config.toml:9: resources.1.url: \"https://mcp.example.org/mcp/\" is configured twice. Remove one of the two.",
        ),
        (
            with(
                &second(
                    "url = \"https://b.example\"\ndefault = true\n[[resources]]\nurl = \"https://c.example\"\ndefault = true",
                ),
                RESOURCE,
            ),
            "config.toml:13: resources.2.default: another resource is already the default.",
        ),
        (
            with(&format!("{RESOURCE}\nscopes = [\"a b\"]"), RESOURCE),
            "resources.0.scopes: \"a b\" is not a scope. Use ASCII",
        ),
        (
            with(&format!("{RESOURCE}\nscopes = [{{ nam = \"a\" }}]"), RESOURCE),
            "resources.0.scopes: a scope has no \"nam\". Write \"user\" or",
        ),
        (
            with(&format!("{RESOURCE}\nscopes = [1]"), RESOURCE),
            "resources.0.scopes: is a number, not a scope.",
        ),
        (
            with(&format!("{RESOURCE}\nintrospection = {{ client_id = \"a\" }}"), RESOURCE),
            "config.toml:8: resources.0.introspection.client_secret: is missing. Add `client_secret = { file = \"rs-1-secret\" }` under `[resources.introspection]`; create it with `(umask 077; openssl rand -hex 32 > rs-1-secret)`.",
        ),
        (
            with(
                &format!(
                    "{RESOURCE}\nintrospection = {{ client_id = \"a:b\", client_secret = {{ env = \"SEALING\" }} }}"
                ),
                RESOURCE,
            ),
            "introspection.client_id: \"a:b\" has characters that are not allowed",
        ),
        (
            with(
                &format!(
                    "{RESOURCE}\nintrospection = {{ client_id = \"a\", client_secret = {{ env = \"SEALING\" }} }}\n[[resources]]\nurl = \"https://b.example\"\nintrospection = {{ client_id = \"a\", client_secret = {{ env = \"SEALING\" }} }}"
                ),
                RESOURCE,
            ),
            "config.toml:11: resources.1.introspection.client_id: \"a\" is used by another resource. Use a different",
        ),
        (
            with(
                &format!(
                    "url = \"https://mcp.example.org/mcp\"\nscopes = {:?}",
                    (0..257).map(|n| format!("s{n}")).collect::<Vec<_>>()
                ),
                "url = \"https://mcp.example.org/mcp\"",
            ),
            "config.toml:8: resources.0.scopes: has too many scopes. Use at most 256.",
        ),
    ]);
}

#[test]
fn mistakes_of_keys_and_repository_have_their_words() {
    assert_mistakes([
        (
            with("", "sealing = { env = \"SEALING\" }"),
            "keys.sealing: is missing. Add `sealing = { file = \"sealing-key\" }` under `[keys]`; create it with `(umask 077; openssl rand -base64 32 > sealing-key)`.",
        ),
        (
            with("sealing = { env = \"CLIENT_SECRET\" }", "sealing = { env = \"SEALING\" }"),
            "config.toml:9: keys.sealing: the secret is not 32 bytes in base64. Generate one with `openssl rand -base64 32`.",
        ),
        (
            with("kind = \"memory\"", "path = \"/tmp/never-opened.sqlite\""),
            "config.toml:11: repository.kind: \"memory\" loses all clients, grants and keys when the process ends. Set `kind = \"sqlite\"`, or start with --allow-volatile",
        ),
        (
            with("kind = \"postgres\"\nurl = \"mysql://u:canary@h\"", "path = \"/tmp/never-opened.sqlite\""),
            "config.toml:12: repository.url: is not a URL for this kind of repository. Begin it with one of: postgres://, postgresql://.",
        ),
        (
            with("kind = \"redis\"", "path = \"/tmp/never-opened.sqlite\""),
            "config.toml:10: repository.url: is missing. Add `url = \"redis://…\"` under `[repository]`.",
        ),
        (
            with("kind = \"sqlit\"", "path = \"/tmp/never-opened.sqlite\""),
            "repository.kind: \"sqlit\" is not a valid choice. Did you mean \"sqlite\"?",
        ),
        (
            format!("{MINIMAL}clients = {{ kind = \"vault\" }}"),
            "config.toml:10: repository.token: is missing. Add `token = { env = \"PANGEA_VAULT_TOKEN\" }` under `[repository.clients]`.",
        ),
        (
            format!(
                "{MINIMAL}clients = {{ kind = \"vault\", folder = \"/a b\", token = {{ env = \"SEALING\" }} }}"
            ),
            "config.toml:12: repository.clients.folder: has characters that are not allowed in a Vault folder. Use letters, digits, `_`, `.` and `-` between slashes.",
        ),
        (
            format!(
                "{MINIMAL}clients = {{ kind = \"vault\", token = {{ env = \"SEALING\" }}, url = \"x\" }}"
            ),
            "config.toml:12: repository.clients.url: does not apply to this kind of repository. Remove it.",
        ),
        (
            format!("{MINIMAL}url = \"redis://canary\""),
            "config.toml:12: repository.url: does not apply to this kind of repository. Remove it.",
        ),
    ]);
}

#[test]
fn mistakes_of_the_other_tables_have_their_words() {
    assert_mistakes([
        (
            format!("{MINIMAL}[client_documents]\npolicy = \"listed\""),
            "config.toml:13: client_documents.policy: \"listed\" also needs `client_documents.hosts`. Add",
        ),
        (
            format!("{MINIMAL}[client_documents]\nblocked_hosts = [\"https://app.example\"]"),
            "client_documents.blocked_hosts: \"https://app.example\" is not a host name. Write it like",
        ),
        (
            format!("{MINIMAL}[client_documents]\nblocked_hosts = [\"evil.example.\"]"),
            "client_documents.blocked_hosts: \"evil.example.\" is not a host name. Write it like",
        ),
        (
            format!("{MINIMAL}[client_documents]\npolicy = \"listed\"\nhosts = [\"*.*.example\"]"),
            "client_documents.hosts: \"*.example\" is not a host name. Write it like",
        ),
        (
            format!("{MINIMAL}[client_documents]\nprivate_networks = [\"intranet\"]"),
            "client_documents.private_networks: \"intranet\" is neither an address nor a network.",
        ),
        (
            format!("{MINIMAL}[registration]\nprivate_use_schemes = \"javascript\""),
            "registration.private_use_schemes: \"javascript\" is not a private-use scheme. Write",
        ),
        (
            format!("{MINIMAL}[registration]\ntrusted_redirect_hosts = [\"https://a\"]"),
            "trusted_redirect_hosts: \"https://a\" is not a host name.",
        ),
        (format!("{MINIMAL}[access]\nemails = [\"ann\"]"), "access.emails: \"ann\" is not an email address."),
        (
            format!("{MINIMAL}[tokens]\naccess_lifetime = \"1h\"\nrefresh_lifetime = \"1m\""),
            "config.toml:13: tokens.access_lifetime: `access_lifetime` (\"1h\") is longer than `refresh_lifetime` (\"1m\"). Make",
        ),
        (
            format!("{MINIMAL}[tokens]\ngrant_lifetime = \"10d\""),
            "config.toml:13: tokens.grant_lifetime: `refresh_lifetime` (\"30d\") is longer than `grant_lifetime` (\"10d\").",
        ),
        (
            format!("{MINIMAL}[tokens]\ncode_lifetime = \"1500ms\""),
            "tokens.code_lifetime: \"1500ms\" is not a duration.",
        ),
        (
            format!("{MINIMAL}[tokens]\ncode_lifetime = \"-1m\""),
            "tokens.code_lifetime: \"-1m\" is not a duration.",
        ),
        (
            format!("{MINIMAL}[limits]\ntoken = {{ burst = 0 }}"),
            "limits.token.burst: 0 is out of range. Write a number from 1",
        ),
        (
            format!("{MINIMAL}[limits]\ntoken = {{ burst = 1.5 }}"),
            "limits.token.burst: is a number with a fraction, not a number.",
        ),
        (
            format!("{MINIMAL}[limits]\ntoken = {{ brust = 5 }}"),
            "limits.token.brust: unknown key. Did you mean `burst`?",
        ),
        (format!("{MINIMAL}[log]\nlevel = \"a=b=c\""), "log.level: \"a=b=c\" is not a log filter ("),
        (
            format!("{MINIMAL}[log]\nlevel = \"X`Ⱥ-Ѩ=\""),
            "log.level: \"X`Ⱥ-Ѩ=\" is not a log filter (it has non-ASCII characters)",
        ),
        (format!("{MINIMAL}\"tokens.access_lifetime\" = \"1m\""), "unknown key"),
        (format!("{MINIMAL}[tokens]\n0 = 1"), "tokens.0: unknown key."),
    ]);
}

#[test]
fn all_problems_come_at_once_and_in_the_order_of_lines() {
    let text = r#"public_url = "http://mcp.example.org"
lisen = "127.0.0.1:1"
[authn]
issuer_url = "pangea"
client_id = 7
client_secret = "canary-in-clear"
[[resources]]
url = "https://mcp.example.org/mcp"
[keys]
algorithm = "HS256"
sealing = { env = "SEALING" }
[tokens]
access_lifetime = "10 parsecs"
refresh_grace = "1h"
"#;
    let lines = problems(text);
    let expected = [
        r#"config.toml:1: public_url: "http://mcp.example.org" is invalid. Use https; http is accepted only for a loopback host."#,
        "config.toml:2: lisen: unknown key. Did you mean `listen`?",
        r#"config.toml:4: authn.issuer_url: "pangea" is not an absolute http or https URL. Write it like "https://host.example/path"."#,
        "config.toml:5: authn.client_id: is a number, not text. Put it in quotation marks.",
        r#"config.toml:6: authn.client_secret: the secret itself is in the file, where backups and other people can read it. Write { keyring = "name" }, { file = "path" } or { env = "NAME" } instead, and replace the secret if others have seen it."#,
        r#"config.toml:10: keys.algorithm: "HS256" is not a valid choice. Did you mean "ES256"?"#,
        r#"config.toml:13: tokens.access_lifetime: "10 parsecs" is not a duration. Write it like "10m" or "1h 30m"."#,
        r#"config.toml:14: tokens.refresh_grace: "1h" is out of range. Choose from "0s" to "10m"."#,
    ];
    let without_repository: Vec<_> = lines.iter().filter(|line| !line.contains("repository.path")).collect();
    assert_eq!(without_repository, expected);
    assert!(!lines.join("\n").contains("canary"));
}

#[test]
fn a_syntax_error_is_one_problem_with_line_and_column() {
    for (text, start) in [
        ("public_url = \"https://a.example\"\nlisten = canary\n", "config.toml:2: column 10: "),
        ("[authn\n", "config.toml:1: column "),
        ("a = 1\na = 2\n", "config.toml:2: column 1: duplicate key"),
    ] {
        let lines = problems(text);
        assert!(lines.len() == 1 && lines[0].starts_with(start), "{lines:?}");
        assert!(!lines[0].contains("canary") && !lines[0].contains('\n'));
    }
}

#[test]
fn meta_7_tls_1_http_is_for_loopback_hosts_alone() {
    let keys = [
        ("public_url", ""),
        ("issuer", ""),
        ("issuer_url", "[authn]"),
        ("api_url", "[authn]"),
        ("authorization_endpoint", "[authn]"),
        ("token_endpoint", "[authn]"),
        ("introspection_endpoint", "[authn]"),
        ("jwks_uri", "[authn]"),
        ("url", "[[resources]]"),
    ];
    let is_refused = |key: &str, section: &str, url: &str| {
        let text = format!("{section}\n{key} = \"{url}\"\n");
        problems(&text).iter().any(|problem| problem.contains(&format!("{key}: \"{url}\"")))
    };
    for (key, section) in keys {
        for url in
            ["http://mcp.example.org", "http://10.0.0.1:8000", "http://localhost.example", "ftp://localhost"]
        {
            assert!(is_refused(key, section, url), "{key} {url}");
        }
        for url in
            ["https://mcp.example.org", "http://localhost:8000", "http://127.0.0.1:1", "http://[::1]:8000"]
        {
            assert!(!is_refused(key, section, url), "{key} {url}");
        }
    }
}

#[test]
fn a_mistake_in_a_ring_of_sealing_keys_is_told_without_a_key() {
    for (ring, words) in [
        (format!("{KEY} canary"), "the secret is not 32 bytes in base64 (entry 2 of 2). Generate one with"),
        (format!("{KEY}\n{KEY}"), "the secret holds one key twice (entry 2 of 2). Remove one of the two"),
        (format!("{KEY}@canary"), "no time such as 2026-11-24T04:10:00Z. Write the time in UTC"),
        ("\n \n".to_owned(), "the secret holds no key. Generate one with"),
    ] {
        let environment = environment().with([("SEALING", ring.as_str())]);
        let problems = parse(MINIMAL, Path::new("config.toml"), &environment).unwrap_err().to_string();
        assert!(problems.contains("keys.sealing: ") && problems.contains(words), "{problems}");
        assert!(!problems.contains("canary") && !problems.contains(KEY), "{problems}");
    }
    let other = crate::secret::SealingKey::generate(&crate::secret::SystemRandom);
    let ring = format!("{KEY}\n{}@2026-11-24T04:10:00Z\n", &*other.to_text());
    let environment = environment().with([("SEALING", ring.as_str())]);
    assert_eq!(parse(MINIMAL, Path::new("config.toml"), &environment).unwrap().keys.sealing.len(), 2);
}
