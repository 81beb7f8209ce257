//! The sections of the configuration file, as the reference describes them.

/// The chapters of the reference: the sections of the file, each with a description.
pub(super) const CHAPTERS: &[(&str, &str)] = &[
    ("", "Keys at the top of the file, before the first `[section]`."),
    (
        "authn",
        "The upstream that signs users in: an OAuth client of the OAuth Server in Pangea AuthN, or of another provider.",
    ),
    (
        "access",
        "Who may sign in: users in any of the lists. Without this section, every user of the upstream may sign in; \
         `everybody = true` says so explicitly. An empty list is an error, and so is `everybody = false` without a \
         list.",
    ),
    (
        "resources.#",
        "One section for each MCP server; at least one. `introspection` contains the credentials of this MCP server for \
         `/introspect`. Set both of its keys, or neither if the server verifies tokens as JWTs.",
    ),
    ("keys", "The keys that sign access tokens and encrypt records."),
    (
        "repository",
        "Where clients, grants and signing keys are stored. A section `[repository.clients]`, `[repository.grants]`, \
         `[repository.keys]` or `[repository.replays]` stores that kind of record in another repository; its missing \
         keys default to those of `[repository]`.",
    ),
    (
        "client_documents",
        "Client ID metadata documents: a client uses the `https` URL of a document as its client ID and describes itself \
         there. The daemon fetches the document when the client asks a user to sign in.",
    ),
    ("registration", "Dynamic client registration (RFC 7591)."),
    (
        "tokens",
        "Lifetimes. An access token must not live longer than a refresh token, and a refresh token not longer than a grant.",
    ),
    (
        "limits",
        "Rate limits per client address (for IPv6, per /64 network). Many users may share one address, so the limits \
         are generous. Each 2 KiB of a registration count as one request. `failed_authentications` limits only wrong \
         secrets and assertions: a correct one is never refused. Above the limit, the response is 429 with \
         `Retry-After`.",
    ),
    (
        "branding",
        "Name, logo and links of the operator, on every page. See [Put your name on the pages](operate.md#put-your-name-on-the-pages).",
    ),
    (
        "log",
        "The log, on standard error. Audit events have the target `audit`: docs/audit-log.md lists them. Commands log \
         the actions of an operator, and everything else with `-v`.",
    ),
];
