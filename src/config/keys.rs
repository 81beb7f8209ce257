//! The table of all keys. It defines environment variables, defaults, the detection of unknown keys, and
//! `docs/configuration.md`.

use super::{
    elsewhere::{self, REPOSITORIES},
    table::{
        Fallback::{Absent, Made, Required, Value},
        Key, Kind, key,
    },
};

const PER_MINUTE: &str = "Average requests per minute; at least 1.";
const BURST: &str = "Requests at once; at least 1.";

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

/// Every key except those of repositories for single kinds of record.
const OWN: &[Key] = &[
    key(
        "public_url",
        Kind::Url,
        Required("\"https://auth.example.org\""),
        "This server's public URL, exactly as clients write it. The issuer, the endpoints and the redirect URI for the \
         Pangea console are derived from it. `https`, or `http` on loopback.",
    ),
    key(
        "issuer",
        Kind::Url,
        Absent("`public_url`"),
        "The issuer in metadata and tokens, if it differs from `public_url`.",
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
        "Address and port for `/metrics`, separate from the public listener.",
    ),
    key(
        "trusted_proxies",
        Kind::List,
        Value("[]"),
        "Addresses or networks of reverse proxies whose `X-Forwarded-For` is trusted. Rate limits and the audit log use \
         it; no URL is built from a header.",
    ),
    key(
        "authn.issuer_url",
        Kind::Url,
        Required("\"https://pdn-xxxxxxxx.login.aws.us.pangea.cloud\""),
        "Hosted Login URL, from the AuthN overview in the Pangea console.",
    ),
    key(
        "authn.client_id",
        Kind::Text,
        Required("\"psa_xxxxxxxx\""),
        "ID of the OAuth client, from the Pangea console (AuthN, OAuth Server, Clients).",
    ),
    key(
        "authn.client_secret",
        Kind::Secret,
        Required("{ file = \"authn-client-secret\" }"),
        "Secret of the OAuth client, from the same page. It may have an expiry date there.",
    ),
    key(
        "authn.scopes",
        Kind::List,
        Value("[]"),
        "Scopes to request from the upstream, each of `[a-zA-Z0-9:*/_=-]`. Empty means the default scopes of the client \
         in the console. An OpenID provider needs `openid`.",
    ),
    key(
        "authn.service_token",
        Kind::Secret,
        Absent("not used"),
        "AuthN service token, to look up a user's identity and groups if tokens do not contain them. Requires `api_url`.",
    ),
    key(
        "authn.api_url",
        Kind::Url,
        Absent("not used"),
        "URL of the AuthN service, such as `https://authn.aws.us.pangea.cloud`. Requires `service_token`.",
    ),
    key(
        "authn.authorization_endpoint",
        Kind::Url,
        Absent("derived from `issuer_url`"),
        "URL of the upstream's authorization endpoint.",
    ),
    key(
        "authn.token_endpoint",
        Kind::Url,
        Absent("derived from `issuer_url`"),
        "URL of the upstream's token endpoint.",
    ),
    key(
        "authn.introspection_endpoint",
        Kind::Url,
        Absent("derived from `issuer_url`"),
        "URL of the upstream's introspection endpoint.",
    ),
    key(
        "authn.jwks_uri",
        Kind::Url,
        Absent("derived from `issuer_url`"),
        "URL of the upstream's signing keys.",
    ),
    key(
        "authn.pkce",
        Kind::Boolean,
        Value("true"),
        "Whether to send a PKCE challenge to the upstream. Disable it for an upstream that rejects it.",
    ),
    key(
        "authn.trust_unverified_email",
        Kind::Boolean,
        Value("false"),
        "Whether `[access]` accepts an email address that neither the upstream's tokens nor Pangea's user record mark as \
         verified.",
    ),
    key(
        "authn.timeout",
        Kind::Duration,
        Value("\"10s\""),
        "Timeout of a request to the upstream: 1 to 10 seconds.",
    ),
    key(
        "access.emails",
        Kind::AllowList,
        Absent("none"),
        "Users who may sign in, by email address. The upstream must mark the address as verified.",
    ),
    key(
        "access.domains",
        Kind::AllowList,
        Absent("none"),
        "Email domains whose users may sign in. The upstream must mark the address as verified.",
    ),
    key("access.groups", Kind::AllowList, Absent("none"), "Upstream groups whose members may sign in."),
    key(
        "access.everybody",
        Kind::Boolean,
        Value("false"),
        "Lets every user of the upstream sign in. It excludes the lists in this section.",
    ),
    key(
        "resources.#.url",
        Kind::Url,
        Required("\"https://mcp.example.org/mcp\""),
        "URL of the MCP server, as users enter it in their MCP client. It becomes the `aud` of tokens. `https`, or `http` \
         on loopback. In canonical form: host in lower case, no default port, no `..`.",
    ),
    key("resources.#.name", Kind::Text, Absent("the URL"), "Name of this MCP server on the consent page."),
    key(
        "resources.#.scopes",
        Kind::List,
        Value("[]"),
        "Scopes of this MCP server: names, or `{ name = \"…\", description = \"…\", default = true }`. The consent page \
         shows the description. A client that requests no scope gets those with `default = true`, or all if none has \
         it.",
    ),
    key(
        "resources.#.upstream",
        Kind::Url,
        Absent("no gateway"),
        "Address of the MCP server behind a gateway. This version accepts the key and ignores it: it has no gateway, and \
         the MCP server verifies tokens itself.",
    ),
    key(
        "resources.#.default",
        Kind::Boolean,
        Value("false"),
        "Whether a client that names no resource gets this one. A single resource is always the default.",
    ),
    key(
        "resources.#.introspection.client_id",
        Kind::Text,
        Required("\"rs-1\""),
        "An ID of your choice, of `[A-Za-z0-9._~-]`, different for each MCP server.",
    ),
    key(
        "resources.#.introspection.client_secret",
        Kind::Secret,
        Made("{ file = \"rs-1-secret\" }", "(umask 077; openssl rand -hex 32 > rs-1-secret)"),
        "A random secret, for example from `openssl rand -hex 32`: at least 16 characters, better 32.",
    ),
    key(
        "keys.sealing",
        Kind::Secret,
        Made("{ file = \"sealing-key\" }", "(umask 077; openssl rand -base64 32 > sealing-key)"),
        "32 random bytes in base64 that encrypt records at rest. Without them, the stored records cannot be decrypted. \
         Create them next to the configuration file with `(umask 077; openssl rand -base64 32 > sealing-key)`. During a \
         rotation there are several keys, separated by white space, with `@` before the time when a key becomes active: \
         docs/sealing-keys.md.",
    ),
    key(
        "keys.algorithm",
        Kind::Choice(&["ES256", "RS256"]),
        Value("\"ES256\""),
        "Signature algorithm of access tokens. A change takes effect like a new key, which is published before it signs: see `keys.rotation`.",
    ),
    key(
        "keys.rotation",
        Kind::Duration,
        Value("\"90d\""),
        "Age at which a signing key is replaced: 1 hour to 10 years. A new key is published one day before it signs, or \
         a quarter of this time if that is shorter. The old key stays published until its last token has expired.",
    ),
    key(
        "repository.kind",
        Kind::Choice(REPOSITORIES),
        Value("\"sqlite\""),
        "`sqlite` for one machine; `postgres` or `redis` for several daemons that share a database; `vault` for one daemon \
         that stores records in Pangea Vault. `memory` loses all records when the process ends, so it requires `--dev` \
         or `--allow-volatile`.",
    ),
    key(
        "repository.path",
        Kind::Path,
        Absent("`pangea-mcp-auth.sqlite` in the platform's state directory"),
        "For `sqlite`: the database file. A relative path starts at the directory of the configuration file.",
    ),
    key(
        "repository.url",
        Kind::TextOrSecret,
        Absent("none"),
        "For `postgres` and `redis`: URL of the database. `postgres://user@host/database?sslmode=verify-full`; \
         `redis://` or `rediss://user@host:6379/0`, `redis+sentinel://host:26379,host:26379/service`, \
         `redis+cluster://host:6379,host:6379`. If the URL contains a password, it is a secret: write its source instead.",
    ),
    key(
        "repository.password",
        Kind::Secret,
        Absent("none"),
        "For `postgres` and `redis`: the password for `url`.",
    ),
    key(
        "repository.ca_file",
        Kind::Path,
        Absent("the certificate authorities of this machine"),
        "For `postgres` and `redis` over TLS: a PEM file with the certificate authorities to trust.",
    ),
    key(
        "repository.connections",
        Kind::Number,
        Value("16"),
        "For `postgres`: maximum number of connections, from 1 to 1000.",
    ),
    key(
        "repository.timeout",
        Kind::Duration,
        Value("\"5s\""),
        "For `postgres`, `redis` and `vault`: timeout of one request, after which the response is 503; 1 to 30 seconds.",
    ),
    key(
        "repository.token",
        Kind::Secret,
        Absent("none"),
        "For `vault`: a token with access to Vault. A token in a file is read again when Vault refuses it.",
    ),
    key(
        "repository.api_url",
        Kind::Url,
        Value("\"https://vault.aws.us.pangea.cloud\""),
        "For `vault`: URL of the service, as the console shows it for your region.",
    ),
    key(
        "repository.folder",
        Kind::Text,
        Value("\"/pangea-mcp-auth\""),
        "For `vault`: folder for the records, with parts of `[0-9a-zA-Z_.-]` between slashes.",
    ),
    key(
        "repository.cache",
        Kind::Duration,
        Value("\"1s\""),
        "For `vault`: how long a value is cached, up to 10 minutes. A revocation by another process takes effect after \
         this time.",
    ),
    key(
        "client_documents.enabled",
        Kind::Boolean,
        Value("true"),
        "Whether clients with a metadata document may ask users to sign in.",
    ),
    key(
        "client_documents.policy",
        Kind::Choice(&["any", "listed"]),
        Value("\"any\""),
        "Whose documents are accepted: `any` host's, or only those of the hosts in `hosts`.",
    ),
    key(
        "client_documents.hosts",
        Kind::List,
        Value("[]"),
        "With `policy = \"listed\"`: the hosts whose documents are accepted, such as `\"claude.ai\"`. `\"*.example.org\"` \
         means all hosts below `example.org`.",
    ),
    key(
        "client_documents.blocked_hosts",
        Kind::List,
        Value("[]"),
        "Hosts whose documents are not accepted, in the same form. Their clients can neither ask users to sign in nor use \
         the tokens that they have. Keys (`jwks_uri`) of these hosts are not accepted either.",
    ),
    key(
        "client_documents.private_networks",
        Kind::List,
        Value("[]"),
        "Networks or addresses from which documents are fetched although they are not public, such as `\"10.0.0.0/8\"`. \
         With `--dev`, loopback is allowed too.",
    ),
    key(
        "client_documents.ca_file",
        Kind::Path,
        Absent("the certificate authorities of this machine"),
        "A PEM file with the certificate authorities to trust when documents are fetched.",
    ),
    key(
        "registration.enabled",
        Kind::Boolean,
        Value("true"),
        "Whether MCP clients may register themselves. Most of them need it.",
    ),
    key(
        "registration.unused_lifetime",
        Kind::Duration,
        Value("\"24h\""),
        "How long a registration is kept if no user signs in with it: 1 minute to 365 days.",
    ),
    key(
        "registration.max_unused",
        Kind::Number,
        Value("10000"),
        "Maximum number of registrations without a sign-in: 1 to 1000000. Beyond that, the oldest is evicted.",
    ),
    key(
        "registration.max_unused_bytes",
        Kind::Number,
        Value("32000000"),
        "Maximum size of those registrations in bytes: at least 65536. Beyond that, the oldest is evicted.",
    ),
    key(
        "registration.idle_lifetime",
        Kind::Duration,
        Value("\"30d\""),
        "How long a client is kept after its last grant ended: up to 3650 days.",
    ),
    key(
        "registration.private_use_schemes",
        Kind::TextOrList,
        Value("\"any\""),
        "Private-use schemes, such as `cursor://`, that a redirect URI may have: `\"any\"`, `\"none\"`, or a list. Schemes \
         with another purpose, such as `ssh`, are never accepted.",
    ),
    key(
        "registration.trusted_redirect_hosts",
        Kind::List,
        Value(
            "[\"claude.ai\", \"claude.com\", \"chatgpt.com\", \"vscode.dev\", \"insiders.vscode.dev\", \
             \"cursor.com\", \"www.cursor.com\", \"global.consent.azure-apim.net\"]",
        ),
        "Hosts of redirect URIs that the consent page shows as known. Errors are redirected to them without a click. Other \
         websites are accepted, with a warning on the page.",
    ),
    key(
        "tokens.access_lifetime",
        Kind::Duration,
        Value("\"10m\""),
        "Lifetime of an access token: 1 second to 24 hours. An MCP server that verifies tokens itself accepts a revoked \
         one until it expires.",
    ),
    key(
        "tokens.refresh_lifetime",
        Kind::Duration,
        Value("\"30d\""),
        "How long an unused refresh token is valid: 1 minute to 3650 days.",
    ),
    key(
        "tokens.refresh_grace",
        Kind::Duration,
        Value("\"2m\""),
        "How long a used refresh token gets the same response again: up to 10 minutes. With `\"0s\"`, using a token twice \
         ends the grant. See [Refresh tokens](security.md#refresh-tokens).",
    ),
    key(
        "tokens.grant_lifetime",
        Kind::Duration,
        Value("\"180d\""),
        "When users must sign in again, even if the client keeps refreshing: 1 minute to 3650 days after the sign-in.",
    ),
    key(
        "tokens.code_lifetime",
        Kind::Duration,
        Value("\"5m\""),
        "Lifetime of an authorization code: 1 second to 10 minutes. It must be longer than the difference between the \
         clocks of two daemons.",
    ),
    key(
        "tokens.claims",
        Kind::List,
        Value("[]"),
        "Claims about the user in access tokens and introspection, in addition to `sub`: `\"email\"`, `\"username\"`, \
         `\"groups\"` (only groups that `[access]` lists). MCP servers and clients can read them. The default of \
         `serve --dev` is `[\"email\"]`.",
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
        "Average failed authentications per minute of one client from one address; at least 1.",
    ),
    key(
        "limits.failed_authentications.burst",
        Kind::Number,
        Value("30"),
        "Failed authentications at once of one client from one address; at least 1.",
    ),
    key(
        "branding.name",
        Kind::Text,
        Absent("no name"),
        "Whose pages these are: the name of your organisation or service, at most 80 characters.",
    ),
    key(
        "branding.logo",
        Kind::Path,
        Absent("no logo"),
        "A PNG, JPEG or WebP file of at most 256 KiB. The daemon reads it at start.",
    ),
    key(
        "branding.support_url",
        Kind::Url,
        Absent("no link"),
        "Where users find help. `https` only, like the next one.",
    ),
    key("branding.privacy_url", Kind::Url, Absent("no link"), "Where users find your privacy policy."),
    key(
        "log.format",
        Kind::Choice(&["text", "json"]),
        Value("\"text\""),
        "`text` for people, `json` for programs.",
    ),
    key(
        "log.level",
        Kind::Text,
        Value("\"info\""),
        "`error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,pangea_mcp_auth=debug`.",
    ),
];
