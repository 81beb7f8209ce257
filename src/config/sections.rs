//! Builds the configuration from the settings, with a function for each section.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Url;

use super::{
    model::{
        Authn, AuthnService, ClientDocuments, Introspection, Keys, Log, LogFormat, ResourceConfig,
        ScopeConfig,
    },
    problem::Complaint,
    reader::Reader,
    settings::{Given, Value},
    table::join,
    value::{self, quoted, scope_word},
};
use crate::{
    fetch::PublicFetch,
    oauth::{
        issuer::Issuer,
        policy::{AccessPolicy, DocumentPolicy, Lifetimes, MostUnused, Rate, Rates, RegistrationPolicy},
        redirect::PrivateUseSchemes,
        resource::is_loopback,
        scope::Scope,
        token::{PersonClaim, SigningAlgorithm},
    },
};

/// The addresses to listen on, public and administrative.
pub(super) fn listeners(reader: &mut Reader<'_>, dev: bool) -> (Vec<SocketAddr>, Option<SocketAddr>) {
    let listen = reader.text_or_list("listen", value::socket_address);
    let admin_listen = reader.text("admin_listen", value::socket_address);
    let is_list = matches!(reader.settings.get("listen").map(|given| &given.value), Some(Value::List(_)));
    if listen.is_empty() && is_list && !reader.has_complained("listen") {
        reader.complain(
            "listen",
            Complaint::new("is an empty list", "List at least one address with its port"),
        );
    }
    let fixed = listen.iter().filter(|address| address.port() != 0);
    let named = fixed.map(|address| ("listen".to_owned(), address.to_string()));
    let admin = admin_listen.filter(|address| address.port() != 0);
    let admin = admin.map(|address| ("admin_listen".to_owned(), address.to_string()));
    let all: Vec<_> = named.chain(admin).collect();
    reader.complain_of_repeats(&all, "is used by another listener", "Choose another port");
    for (path, addresses) in [("listen", listen.as_slice()), ("admin_listen", admin_listen.as_slice())] {
        if let Some(address) = addresses.iter().find(|address| dev && !address.ip().is_loopback()) {
            let what = format!("{address} is not a loopback address, and with --dev anyone can sign in");
            reader.complain(path, Complaint::new(what, "Listen on 127.0.0.1, or do not use --dev"));
        }
    }
    (listen, admin_listen)
}

pub(super) fn authn(reader: &mut Reader<'_>) -> Option<Authn> {
    const SECONDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);
    let issuer_url = reader.text("authn.issuer_url", value::base_url);
    let client_id = reader.plain_text("authn.client_id");
    let client_secret = reader.secret("authn.client_secret");
    let scopes = reader.texts("authn.scopes", value::upstream_scope);
    let service = authn_service(reader);
    let authorization_endpoint = reader.text("authn.authorization_endpoint", value::safe_url);
    let token_endpoint = reader.text("authn.token_endpoint", value::safe_url);
    let introspection_endpoint = reader.text("authn.introspection_endpoint", value::safe_url);
    let jwks_uri = reader.text("authn.jwks_uri", value::safe_url);
    let pkce = reader.boolean("authn.pkce");
    let trust_unverified_email = reader.boolean("authn.trust_unverified_email");
    let timeout = reader.duration("authn.timeout", &SECONDS);
    Some(Authn {
        issuer_url: issuer_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes,
        service,
        authorization_endpoint,
        token_endpoint,
        introspection_endpoint,
        jwks_uri,
        pkce,
        trust_unverified_email,
        timeout,
    })
}

fn authn_service(reader: &mut Reader<'_>) -> Option<AuthnService> {
    let (url, token) = ("authn.api_url", "authn.service_token");
    for (given, missing, example) in [
        (url, token, "service_token = { file = \"authn-service-token\" }"),
        (token, url, "api_url = \"https://authn.aws.us.pangea.cloud\""),
    ] {
        if reader.is_written(given) && !reader.is_written(missing) {
            let fix = format!("Add `{example}` under `[authn]`, or remove this");
            reader.complain(given, Complaint::new(format!("also needs `{missing}`"), fix));
        }
    }
    let api_url = reader.text(url, value::safe_url);
    let token = reader.secret(token);
    Some(AuthnService { api_url: api_url?, token: token? })
}

pub(super) fn access(reader: &mut Reader<'_>, says_everybody: bool) -> AccessPolicy {
    let mut access = AccessPolicy {
        everybody: says_everybody,
        emails: reader.allow_list("access.emails", value::email),
        domains: reader.allow_list("access.domains", value::host),
        groups: reader.allow_list("access.groups", |group| Ok(group.to_owned())),
    };
    // A header without keys, as earlier releases wrote it, counts as no section.
    let denies_everybody = reader.is_written("access.everybody") && !says_everybody;
    let has_list =
        ["emails", "domains", "groups"].iter().any(|list| reader.is_written(&join("access", list)));
    let is_open = access.emails.is_empty() && access.domains.is_empty() && access.groups.is_empty();
    if says_everybody && !is_open {
        let fix = "Remove it, or the lists of who may sign in";
        reader.complain("access.everybody", Complaint::new("contradicts the lists in this section", fix));
    } else if denies_everybody && !has_list && !reader.has_complaint_below("access") {
        let fix = "Add `domains = [\"example.org\"]`, `emails` or `groups`, or set `everybody = true` to let every user of the \
                   upstream sign in";
        reader.complain("access", Complaint::new("lets no one sign in", fix));
    }
    access.everybody = is_open;
    access
}

/// With `--dev` anyone can sign in, so the stand-in must be reachable only from this machine.
pub(super) fn expect_loopback(reader: &mut Reader<'_>, path: &str, issuer: Option<&Issuer>) {
    let is_elsewhere = |issuer: &Issuer| Url::parse(issuer.as_str()).is_ok_and(|url| !is_loopback(&url));
    if let Some(issuer) = issuer.filter(|issuer| is_elsewhere(issuer)) {
        let what = format!("{issuer} is not on this machine, and with --dev anyone can sign in");
        let fix = "Remove it and use the loopback URL that `serve --dev` prints. To serve other machines, configure \
                   `[authn]` (`pangea-mcp-auth init`) and do not use --dev";
        reader.complain(path, Complaint::new(what, fix));
    }
}

pub(super) fn resources(reader: &mut Reader<'_>) -> Vec<ResourceConfig> {
    let paths = reader.settings.instances("resources.#");
    let read: Vec<(String, ResourceConfig)> = paths
        .into_iter()
        .filter_map(|path| resource(reader, &path).map(|resource| (path, resource)))
        .collect();
    complain_of_resources_that_clash(reader, &read);
    read.into_iter().map(|(_, resource)| resource).collect()
}

fn resource(reader: &mut Reader<'_>, path: &str) -> Option<ResourceConfig> {
    let at = |name| join(path, name);
    let url = reader.text(&at("url"), value::resource);
    let name = reader.plain_text(&at("name"));
    let scopes = reader.list(&at("scopes"), scope);
    let words: Vec<&str> = scopes.iter().map(|scope| scope.name.as_str()).collect();
    if Scope::parse(&words.join(" ")).is_err() {
        let complaint = Complaint::new("has too many scopes", "Use at most 256");
        reader.complain(&at("scopes"), complaint);
    }
    let upstream = reader.text(&at("upstream"), value::web_url);
    let default = reader.boolean(&at("default"));
    let client_id = reader.text(&at("introspection.client_id"), value::plain_id);
    let client_secret = reader.chosen_secret(&at("introspection.client_secret"));
    let introspection = client_id.zip(client_secret);
    let introspection =
        introspection.map(|(client_id, client_secret)| Introspection { client_id, client_secret });
    Some(ResourceConfig { url: url?, name, scopes, upstream, introspection, default })
}

/// A scope of a resource: a name, or a table with `name`, `description` and `default`.
fn scope(given: &Given) -> Result<ScopeConfig, Complaint> {
    const FIX: &str =
        "Write \"user\" or { name = \"user\", description = \"Read your notes\", default = true }";
    match &given.value {
        Value::Table(members) => {
            if let Some(unknown) =
                members.keys().find(|name| !matches!(name.as_str(), "name" | "description" | "default"))
            {
                return Err(Complaint::new(format!("a scope has no {}", quoted(unknown)), FIX));
            }
            let member = |name| members.get(name).map(|given| value::text(&given.value)).transpose();
            let name = member("name")?.ok_or_else(|| Complaint::new("a scope without a name", FIX))?;
            let description = member("description")?.map(str::to_owned);
            let default = members.get("default").map(|given| value::boolean(&given.value)).transpose()?;
            Ok(ScopeConfig { name: scope_word(name)?, description, default: default.unwrap_or_default() })
        }
        name @ Value::Text(_) => {
            Ok(ScopeConfig { name: scope_word(value::text(name)?)?, description: None, default: false })
        }
        other => value::wrong_type(other, "a scope", FIX),
    }
}

fn complain_of_resources_that_clash(reader: &mut Reader<'_>, resources: &[(String, ResourceConfig)]) {
    for (index, (path, resource)) in resources.iter().enumerate() {
        let earlier = &resources[..index];
        if earlier.iter().any(|(_, other)| other.url.is_same_as(&resource.url)) {
            let what = format!("{} is configured twice", quoted(resource.url.as_str()));
            reader.complain(&join(path, "url"), Complaint::new(what, "Remove one of the two"));
        }
        if resource.default && earlier.iter().any(|(_, other)| other.default) {
            let complaint = Complaint::new("another resource is already the default", "Keep one default");
            reader.complain(&join(path, "default"), complaint);
        }
    }
    let ids: Vec<_> = resources
        .iter()
        .filter_map(|(path, resource)| {
            let id = &resource.introspection.as_ref()?.client_id;
            Some((join(path, "introspection.client_id"), id.clone()))
        })
        .collect();
    let fix = "Use a different ID and secret for each MCP server";
    reader.complain_of_repeats(&ids, "is used by another resource", fix);
}

pub(super) fn keys(reader: &mut Reader<'_>) -> Option<Keys> {
    let sealing = reader.sealing_keys("keys.sealing");
    let algorithms = [("ES256", SigningAlgorithm::Es256), ("RS256", SigningAlgorithm::Rs256)];
    let algorithm = reader.choice("keys.algorithm", &algorithms);
    let (sealing, sealing_place) = sealing?;
    Some(Keys { sealing, sealing_place, algorithm: algorithm? })
}

pub(super) fn client_documents(reader: &mut Reader<'_>, dev: bool) -> ClientDocuments {
    const POLICY: &str = "client_documents.policy";
    const HOSTS: &str = "client_documents.hosts";
    let is_listed = reader.choice(POLICY, &[("any", false), ("listed", true)]).unwrap_or_default();
    let hosts = reader.texts(HOSTS, value::host_pattern);
    if is_listed && hosts.is_empty() && !reader.has_complained(HOSTS) {
        let fix = "Add `hosts = [\"claude.ai\"]`, or set `enabled = false` to accept no documents";
        reader.complain(POLICY, Complaint::new("\"listed\" also needs `client_documents.hosts`", fix));
    } else if !is_listed && !hosts.is_empty() {
        let fix = "Set `policy = \"listed\"` to accept only these hosts, or remove the list";
        reader.warn(HOSTS, Complaint::new("has no effect, because every host is accepted", fix));
    }
    let mut private_networks = reader.texts("client_documents.private_networks", value::network);
    if dev {
        private_networks.extend(LOOPBACK);
    }
    ClientDocuments {
        policy: DocumentPolicy {
            enabled: reader.boolean("client_documents.enabled"),
            hosts: is_listed.then_some(hosts),
            blocked_hosts: reader.texts("client_documents.blocked_hosts", value::host_pattern),
        },
        private_networks,
        ca_file: authorities(reader, "client_documents.ca_file"),
    }
}

/// A file with certificate authorities. The daemon reads it again when it starts.
fn authorities(reader: &mut Reader<'_>, path: &str) -> Option<PathBuf> {
    let file = reader.trusted_file(path)?;
    if let Err(error) = PublicFetch::check_ca_file(&file) {
        let fix = "Name a PEM file with at least one certificate, or remove the line";
        reader.complain(path, Complaint::new(error.to_string(), fix));
    }
    Some(file)
}

pub(super) fn registration(reader: &mut Reader<'_>) -> RegistrationPolicy {
    RegistrationPolicy {
        enabled: reader.boolean("registration.enabled"),
        unused: reader.duration("registration.unused_lifetime", &(MINUTE..=365 * DAY)),
        most_unused: MostUnused {
            clients: reader.number("registration.max_unused", &(1..=1_000_000)) as usize,
            bytes: reader.number("registration.max_unused_bytes", &(65_536..=u32::MAX)) as usize,
        },
        idle: reader.duration("registration.idle_lifetime", &(Duration::ZERO..=3650 * DAY)),
        schemes: private_use_schemes(reader),
        trusted_hosts: reader.texts("registration.trusted_redirect_hosts", value::host),
    }
}

fn private_use_schemes(reader: &mut Reader<'_>) -> PrivateUseSchemes {
    let path = "registration.private_use_schemes";
    match reader.settings.get(path).map(|given| &given.value) {
        Some(Value::Text(word)) if word == "any" => PrivateUseSchemes::Any,
        Some(Value::Text(word)) if word == "none" => PrivateUseSchemes::None,
        _ => PrivateUseSchemes::Listed(reader.text_or_list(path, value::private_use_scheme)),
    }
}

const LOOPBACK: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const CLAIMS: [(&str, PersonClaim); 3] =
    [("email", PersonClaim::Email), ("username", PersonClaim::Username), ("groups", PersonClaim::Groups)];

/// The claims of `[tokens]`.
pub(super) fn claims(reader: &mut Reader<'_>) -> Vec<PersonClaim> {
    reader.choices("tokens.claims", &CLAIMS)
}

/// The lifetimes of `[tokens]` and `[keys]`.
pub(super) fn lifetimes(reader: &mut Reader<'_>) -> Lifetimes {
    let signing_key = reader.duration("keys.rotation", &(HOUR..=3650 * DAY));
    let before = reader.problems.len();
    let lifetimes = Lifetimes {
        access: reader.duration("tokens.access_lifetime", &(SECOND..=24 * HOUR)),
        refresh: reader.duration("tokens.refresh_lifetime", &(MINUTE..=3650 * DAY)),
        grace: reader.duration("tokens.refresh_grace", &(Duration::ZERO..=10 * MINUTE)),
        grant: reader.duration("tokens.grant_lifetime", &(MINUTE..=3650 * DAY)),
        code: reader.duration("tokens.code_lifetime", &(SECOND..=10 * MINUTE)),
        signing_key,
    };
    if reader.problems.len() == before {
        let Lifetimes { access, refresh, grant, .. } = lifetimes;
        complain_of_order(reader, ("access_lifetime", access), ("refresh_lifetime", refresh));
        complain_of_order(reader, ("refresh_lifetime", refresh), ("grant_lifetime", grant));
    }
    lifetimes
}

fn complain_of_order(reader: &mut Reader<'_>, shorter: (&str, Duration), longer: (&str, Duration)) {
    if shorter.1 <= longer.1 {
        return;
    }
    let blamed = [shorter.0, longer.0].map(|name| join("tokens", name));
    let [first, second] = &blamed;
    let path = if reader.is_written(first) { first } else { second };
    let [short, long] = [shorter.1, longer.1].map(value::words);
    let what = format!("`{}` ({short}) is longer than `{}` ({long})", shorter.0, longer.0);
    let fix = format!("Make `{}` shorter or `{}` longer", shorter.0, longer.0);
    reader.complain(path, Complaint::new(what, fix));
}

pub(super) fn limits(reader: &mut Reader<'_>) -> Rates {
    let mut rate = |name: &str| Rate {
        per_minute: reader.number(&format!("limits.{name}.per_minute"), &(1..=u32::MAX)),
        burst: reader.number(&format!("limits.{name}.burst"), &(1..=u32::MAX)),
    };
    Rates {
        authorize: rate("authorize"),
        token: rate("token"),
        register: rate("register"),
        introspect: rate("introspect"),
        revoke: rate("revoke"),
        callback: rate("callback"),
        failed_authentications: rate("failed_authentications"),
    }
}

pub(super) fn log(reader: &mut Reader<'_>) -> Option<Log> {
    let format = reader.choice("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let level = reader.text("log.level", value::log_filter);
    Some(Log { format: format?, level: level? })
}
