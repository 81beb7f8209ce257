//! Every key there is: the one table from which unknown keys, environment variables, defaults and
//! `docs/configuration.md` follow.

use super::{
    elsewhere,
    table::{
        Fallback::{self, Absent, Made, Required, Value},
        Key, Kind,
    },
};

pub(super) const fn key(path: &'static str, kind: Kind, fallback: Fallback, doc: &'static str) -> Key {
    Key { path, kind, fallback, doc }
}

/// Where records may live.
pub(super) const REPOSITORIES: &[&str] = &["memory", "sqlite", "postgres", "redis", "vault"];

/// The chapters of the reference: tables of the file, each with what it is about.
pub(super) const CHAPTERS: &[(&str, &str)] = &[
    ("", "These stand at the top of the file, before the first `[section]`."),
    ("authn", "Who signs people in: an OAuth client of Pangea AuthN's OAuth Server, or of another provider."),
    (
        "access",
        "Who may sign in: people in any of the lists. Without this section, everybody for whom the upstream vouches; \
         `everybody = true` says so explicitly. A list that is given and empty is an error, and so is \
         `everybody = false` without a list.",
    ),
    (
        "resources.#",
        "One table for each MCP server; at least one. `introspection` is the credential with which this MCP \
         server may ask `/introspect` about its tokens: both of its keys, or neither where tokens are verified as JWTs.",
    ),
    ("keys", "Key material."),
    (
        "repository",
        "Where clients, grants and signing keys live. A table `[repository.clients]`, `[repository.grants]`, \
         `[repository.keys]` or `[repository.replays]` puts that kind of record elsewhere; what it does not say is as \
         in `[repository]`.",
    ),
    ("registration", "Registration of clients by themselves (RFC 7591)."),
    (
        "tokens",
        "Lifetimes. Access tokens live no longer than refresh tokens, and those no longer than grants.",
    ),
    (
        "limits",
        "How often one client address (of IPv6, one /64 network) may ask. Many people may share one address, so the \
         numbers are generous. Each 2 KiB of a registration count as one request. `failed_authentications` limits wrong \
         secrets only: a right one is never refused. Over the limit the answer is 429 with `Retry-After`.",
    ),
    (
        "log",
        "The log, on standard error. What matters for an audit has the target `audit`: docs/audit-log.md lists its \
         events. Commands log what an operator does, and everything else with `-v`.",
    ),
];

const PER_MINUTE: &str = "How many requests a minute in the long run; at least 1.";
const BURST: &str = "How many requests at once; at least 1.";

/// Every key.
pub(super) const KEYS: &[Key] = &everything();

const fn everything() -> [Key; OWN.len() + elsewhere::KEYS.len()] {
    let mut all = [OWN[0]; OWN.len() + elsewhere::KEYS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < OWN.len() { OWN[at] } else { elsewhere::KEYS[at - OWN.len()] };
        at += 1;
    }
    all
}

/// Every key but those of repositories for single kinds of record.
const OWN: &[Key] = &[
    key(
        "public_url",
        Kind::Url,
        Required("\"https://auth.example.org\""),
        "Where the world reaches this server, exactly as clients write it. Issuer, endpoints and the redirect \
         URI for the upstream's console are built from it. `https`, or `http` on loopback.",
    ),
    key(
        "issuer",
        Kind::Url,
        Absent("`public_url`"),
        "The issuer identifier in metadata and tokens, if it is not `public_url`.",
    ),
    key(
        "listen",
        Kind::TextOrList,
        Value("\"127.0.0.1:8000\""),
        "Address and port to listen on, or a list of them.",
    ),
    key(
        "admin_listen",
        Kind::Text,
        Absent("no metrics"),
        "Address and port for `/metrics`, kept apart from the public listener.",
    ),
    key(
        "trusted_proxies",
        Kind::List,
        Value("[]"),
        "Addresses or networks of reverse proxies whose `X-Forwarded-For` is believed. It serves rate limits and \
         the audit log; no URL is ever built from a header.",
    ),
    key(
        "authn.issuer_url",
        Kind::Url,
        Required("\"https://pdn-xxxxxxxx.login.aws.us.pangea.cloud\""),
        "The hosted login's URL, from the overview of AuthN in the Pangea console.",
    ),
    key(
        "authn.client_id",
        Kind::Text,
        Required("\"psa_xxxxxxxx\""),
        "The OAuth client's id, from the Pangea console (AuthN, OAuth Server, Clients).",
    ),
    key(
        "authn.client_secret",
        Kind::Secret,
        Required("{ file = \"authn-client-secret\" }"),
        "The OAuth client's secret, from the same page. It may have an expiry date there.",
    ),
    key(
        "authn.scopes",
        Kind::List,
        Value("[]"),
        "What to ask the upstream for, of `[a-zA-Z0-9:*/_=-]`. Empty means the client's default scopes in the \
         console. An OpenID provider needs `openid`.",
    ),
    key(
        "authn.service_token",
        Kind::Secret,
        Absent("not asked"),
        "An AuthN service token, to ask for a person's identity and groups where tokens do not say. Goes with \
         `api_url`.",
    ),
    key(
        "authn.api_url",
        Kind::Url,
        Absent("not asked"),
        "The AuthN service, such as `https://authn.aws.us.pangea.cloud`. Goes with `service_token`.",
    ),
    key(
        "authn.authorization_endpoint",
        Kind::Url,
        Absent("from `issuer_url`"),
        "Replaces the upstream's authorization endpoint.",
    ),
    key(
        "authn.token_endpoint",
        Kind::Url,
        Absent("from `issuer_url`"),
        "Replaces the upstream's token endpoint.",
    ),
    key(
        "authn.introspection_endpoint",
        Kind::Url,
        Absent("from `issuer_url`"),
        "Replaces the upstream's introspection endpoint.",
    ),
    key(
        "authn.jwks_uri",
        Kind::Url,
        Absent("from `issuer_url`"),
        "Replaces the address of the upstream's signing keys.",
    ),
    key(
        "authn.pkce",
        Kind::Boolean,
        Value("true"),
        "Whether to send the upstream a PKCE challenge. Switch it off for an upstream that chokes on it.",
    ),
    key(
        "authn.trust_unverified_email",
        Kind::Boolean,
        Value("false"),
        "Whether `[access]` believes an address that neither the upstream's tokens nor Pangea's record of the \
         user call verified.",
    ),
    key(
        "authn.timeout",
        Kind::Duration,
        Value("\"10s\""),
        "How long to wait for the upstream, from 1 to 10 seconds.",
    ),
    key(
        "access.emails",
        Kind::AllowList,
        Absent("none"),
        "Email addresses of people who may sign in. An address counts when the upstream says that it is verified.",
    ),
    key(
        "access.domains",
        Kind::AllowList,
        Absent("none"),
        "Email domains whose people may sign in. An address counts when the upstream says that it is verified.",
    ),
    key(
        "access.groups",
        Kind::AllowList,
        Absent("none"),
        "Groups at the upstream whose members may sign in.",
    ),
    key(
        "access.everybody",
        Kind::Boolean,
        Value("false"),
        "Admits everybody for whom the upstream vouches. Stands alone in its section.",
    ),
    key(
        "resources.#.url",
        Kind::Url,
        Required("\"https://mcp.example.org/mcp\""),
        "The MCP server's URL as people enter it in their client; tokens carry it as `aud`. `https`, or `http` \
         on loopback. Written canonically: host in lower case, no default port, no `..`.",
    ),
    key("resources.#.name", Kind::Text, Absent("the URL"), "What the consent page calls this MCP server."),
    key(
        "resources.#.scopes",
        Kind::List,
        Value("[]"),
        "The scopes it offers: words, or `{ name = \"…\", description = \"…\", default = true }`. The consent page \
         shows the description. A client that asks for none of them gets those with `default = true`, or all if \
         none is marked.",
    ),
    key(
        "resources.#.upstream",
        Kind::Url,
        Absent("no gateway"),
        "Where a gateway would forward requests for this MCP server to. It is read, and nothing is forwarded: the MCP \
         server protects itself.",
    ),
    key(
        "resources.#.default",
        Kind::Boolean,
        Value("false"),
        "Whether a client that names no resource means this one. The only resource is the default anyway.",
    ),
    key(
        "resources.#.introspection.client_id",
        Kind::Text,
        Required("\"rs-1\""),
        "An id of your choice, of `[A-Za-z0-9._~-]`, different for each MCP server.",
    ),
    key(
        "resources.#.introspection.client_secret",
        Kind::Secret,
        Made("{ file = \"rs-1-secret\" }", "(umask 077; openssl rand -hex 32 > rs-1-secret)"),
        "A secret of your choice, from a generator such as `openssl rand -hex 32`: at least 16 characters, better 32.",
    ),
    key(
        "keys.sealing",
        Kind::Secret,
        Made("{ file = \"sealing-key\" }", "(umask 077; openssl rand -base64 32 > sealing-key)"),
        "32 random bytes in base64 under which everything at rest is sealed; without them, all that is stored is \
         lost. Make them beside the configuration file with `(umask 077; openssl rand -base64 32 > sealing-key)`. \
         While one key takes another's place there are several, with white space between them and `@` before the time \
         from which a key seals: docs/sealing-keys.md.",
    ),
    key(
        "keys.algorithm",
        Kind::Choice(&["ES256", "RS256"]),
        Value("\"ES256\""),
        "The signature algorithm of access tokens. Another one takes over like a new key: it is published first, as `keys.rotation` says.",
    ),
    key(
        "keys.rotation",
        Kind::Duration,
        Value("\"90d\""),
        "How old a signing key becomes before the next one is made; 1 hour to 10 years. A new key is published a \
         day before it signs, or a quarter of this time if that is shorter, and the old one until its last token has expired.",
    ),
    key(
        "repository.kind",
        Kind::Choice(REPOSITORIES),
        Value("\"sqlite\""),
        "`sqlite` for one machine; `postgres` or `redis` for several daemons on one shared engine; `vault` keeps \
         everything in Pangea Vault, for a single daemon. `memory` forgets everything when the process ends, so it \
         needs `--dev` or `--allow-volatile`.",
    ),
    key(
        "repository.path",
        Kind::Path,
        Absent("`pangea-mcp-auth.sqlite` in the platform's state directory"),
        "For `sqlite`: the file. A relative path starts at the configuration file's folder.",
    ),
    key(
        "repository.url",
        Kind::TextOrSecret,
        Absent("none"),
        "For `postgres` and `redis`: where the engine is. `postgres://user@host/database?sslmode=verify-full`; \
         `redis://` or `rediss://user@host:6379/0`, `redis+sentinel://host:26379,host:26379/service`, \
         `redis+cluster://host:6379,host:6379`. A URL with a password in it is a secret: name its place.",
    ),
    key(
        "repository.password",
        Kind::Secret,
        Absent("none"),
        "For `postgres` and `redis`: the password that goes with `url`.",
    ),
    key(
        "repository.ca_file",
        Kind::Path,
        Absent("the authorities that this machine trusts"),
        "For `postgres` and `redis` over TLS: a PEM file with the authorities to trust.",
    ),
    key(
        "repository.connections",
        Kind::Number,
        Value("16"),
        "For `postgres`: how many connections at most, from 1 to 1000.",
    ),
    key(
        "repository.timeout",
        Kind::Duration,
        Value("\"5s\""),
        "For `postgres`, `redis` and `vault`: how long one request may take before the answer is 503, from 1 to 30 \
         seconds.",
    ),
    key(
        "repository.token",
        Kind::Secret,
        Absent("none"),
        "For `vault`: a token with access to Vault. One in a file is read again when Vault refuses it.",
    ),
    key(
        "repository.api_url",
        Kind::Url,
        Value("\"https://vault.aws.us.pangea.cloud\""),
        "For `vault`: the service, as the console shows it for your region.",
    ),
    key(
        "repository.folder",
        Kind::Text,
        Value("\"/pangea-mcp-auth\""),
        "For `vault`: the folder for our items, of `[0-9a-zA-Z_.-]` between slashes.",
    ),
    key(
        "repository.cache",
        Kind::Duration,
        Value("\"1s\""),
        "For `vault`: for how long a value once read is believed, up to 10 minutes. A revocation by another process \
         takes so long to be noticed.",
    ),
    key(
        "registration.enabled",
        Kind::Boolean,
        Value("true"),
        "Whether MCP clients may register themselves. Most of them must.",
    ),
    key(
        "registration.unused_lifetime",
        Kind::Duration,
        Value("\"24h\""),
        "How long a client is kept with which nobody has signed in: 1 minute to 365 days.",
    ),
    key(
        "registration.max_unused",
        Kind::Number,
        Value("10000"),
        "How many registrations are kept that no user has signed in with: 1 to 1000000. Beyond that, the oldest \
         is evicted.",
    ),
    key(
        "registration.max_unused_bytes",
        Kind::Number,
        Value("32000000"),
        "How many bytes those registrations may have in total: at least 65536. Beyond that, the oldest is evicted.",
    ),
    key(
        "registration.idle_lifetime",
        Kind::Duration,
        Value("\"30d\""),
        "How long a client is kept after its last grant has ended: up to 3650 days.",
    ),
    key(
        "registration.private_use_schemes",
        Kind::TextOrList,
        Value("\"any\""),
        "Which private-use schemes such as `cursor://` a redirect URI may have: `\"any\"`, `\"none\"`, or a list \
         of schemes. Schemes with another purpose, such as `ssh`, are never accepted.",
    ),
    key(
        "registration.trusted_redirect_hosts",
        Kind::List,
        Value(
            "[\"claude.ai\", \"claude.com\", \"chatgpt.com\", \"vscode.dev\", \"insiders.vscode.dev\", \
             \"cursor.com\", \"www.cursor.com\", \"global.consent.azure-apim.net\"]",
        ),
        "Hosts of redirect URIs that the consent page presents as known, and to which errors are sent without a \
         click. Other websites are accepted, and the page warns of them.",
    ),
    key(
        "tokens.access_lifetime",
        Kind::Duration,
        Value("\"10m\""),
        "How long an access token is valid: 1 second to 24 hours. Whoever verifies it offline accepts it to the \
         end, revoked or not.",
    ),
    key(
        "tokens.refresh_lifetime",
        Kind::Duration,
        Value("\"30d\""),
        "How long a refresh token may lie unused: 1 minute to 3650 days.",
    ),
    key(
        "tokens.refresh_grace",
        Kind::Duration,
        Value("\"2m\""),
        "How long a refresh token that was used gets the same answer again: up to 10 minutes. `\"0s\"` is strict: \
         using a token twice ends the grant. See [Refresh tokens](security.md#refresh-tokens).",
    ),
    key(
        "tokens.grant_lifetime",
        Kind::Duration,
        Value("\"180d\""),
        "How long after sign-in a person must sign in again, whatever was refreshed: 1 minute to 3650 days.",
    ),
    key(
        "tokens.code_lifetime",
        Kind::Duration,
        Value("\"5m\""),
        "How long an authorization code is valid: 1 second to 10 minutes. Longer than the clocks of two daemons are \
         apart, or a code of the one is late at the other.",
    ),
    key(
        "tokens.claims",
        Kind::List,
        Value("[]"),
        "What access tokens and introspection say of the person besides `sub`: `\"email\"`, `\"username\"`, \
         `\"groups\"` (only groups that `[access]` lists). MCP servers and clients can read them. \
         `serve --dev` has `[\"email\"]`.",
    ),
    key("limits.authorize.per_minute", Kind::Number, Value("600"), PER_MINUTE),
    key("limits.authorize.burst", Kind::Number, Value("200"), BURST),
    key("limits.token.per_minute", Kind::Number, Value("3000"), PER_MINUTE),
    key("limits.token.burst", Kind::Number, Value("600"), BURST),
    key("limits.register.per_minute", Kind::Number, Value("30"), PER_MINUTE),
    key("limits.register.burst", Kind::Number, Value("30"), BURST),
    key("limits.introspect.per_minute", Kind::Number, Value("60000"), PER_MINUTE),
    key("limits.introspect.burst", Kind::Number, Value("6000"), BURST),
    key("limits.revoke.per_minute", Kind::Number, Value("600"), PER_MINUTE),
    key("limits.revoke.burst", Kind::Number, Value("200"), BURST),
    key("limits.callback.per_minute", Kind::Number, Value("600"), PER_MINUTE),
    key("limits.callback.burst", Kind::Number, Value("200"), BURST),
    key(
        "limits.failed_authentications.per_minute",
        Kind::Number,
        Value("30"),
        "How many failed authentications of one client from one address a minute in the long run; at least 1.",
    ),
    key(
        "limits.failed_authentications.burst",
        Kind::Number,
        Value("30"),
        "How many failed authentications of one client from one address at once; at least 1.",
    ),
    key("log.format", Kind::Choice(&["text", "json"]), Value("\"text\""), "For people or for machines."),
    key(
        "log.level",
        Kind::Text,
        Value("\"info\""),
        "`error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,pangea_mcp_auth=debug`.",
    ),
];
