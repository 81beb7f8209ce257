//! The names of findings. `docs/check.md` has a row for each, which a test reads from here.

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The configuration as it is written.
    Configuration,
    /// Keyring entries and files with secrets.
    Secrets,
    /// Who may sign in.
    Access,
    /// The hosted login as an address.
    UpstreamIssuer,
    /// Its clock and ours.
    UpstreamClock,
    /// Client id, redirect URI and scope.
    UpstreamAuthorize,
    /// Client id and secret.
    UpstreamCredentials,
    /// That not every secret will do.
    UpstreamWrongSecret,
    /// The storage engine.
    Repository,
    /// That it keeps what is written, and how fast.
    RepositoryRoundTrip,
    /// That it keeps it for good.
    RepositorySettings,
    /// Who has the right to write, where one process has it.
    RepositoryWriter,
    /// Signing keys under the sealing key.
    Keys,
    /// Whether an MCP server shares the public host name.
    PublicHost,
    /// The public name and port.
    PublicAddress,
    /// Our metadata as the world sees it.
    PublicMetadata,
    /// What browsers are allowed.
    PublicCors,
    /// The metadata of MCP servers on our origin.
    PublicResourceMetadata,
    /// The published signing keys.
    PublicJwks,
    /// The published signing keys beside the stored ones.
    PublicKeys,
    /// Whether we issue tokens for an MCP server.
    ResourceConfigured,
    /// What the MCP server says to a stranger.
    ResourceChallenge,
    /// Its metadata.
    ResourceMetadata,
    /// Whom its metadata names.
    ResourceAuthorizationServers,
    /// The scopes that it demands and the ones on offer.
    ResourceScopes,
    /// How it takes tokens and how we issue them.
    ResourceTokens,
}

impl Topic {
    /// The name in every output. Stable.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Secrets => "secrets",
            Self::Access => "access",
            Self::UpstreamIssuer => "upstream.issuer",
            Self::UpstreamClock => "upstream.clock",
            Self::UpstreamAuthorize => "upstream.authorize",
            Self::UpstreamCredentials => "upstream.credentials",
            Self::UpstreamWrongSecret => "upstream.wrong_secret",
            Self::Repository => "repository",
            Self::RepositoryRoundTrip => "repository.round_trip",
            Self::RepositorySettings => "repository.settings",
            Self::RepositoryWriter => "repository.writer",
            Self::Keys => "keys",
            Self::PublicHost => "public.host",
            Self::PublicAddress => "public.address",
            Self::PublicMetadata => "public.metadata",
            Self::PublicCors => "public.cors",
            Self::PublicResourceMetadata => "public.resource_metadata",
            Self::PublicJwks => "public.jwks",
            Self::PublicKeys => "public.keys",
            Self::ResourceConfigured => "resource.configured",
            Self::ResourceChallenge => "resource.challenge",
            Self::ResourceMetadata => "resource.metadata",
            Self::ResourceAuthorizationServers => "resource.authorization_servers",
            Self::ResourceScopes => "resource.scopes",
            Self::ResourceTokens => "resource.tokens",
        }
    }

    /// The same for one of several repositories, by its table in the configuration.
    pub(super) fn name_in(self, section: &str) -> String {
        self.name().replacen(Self::Repository.name(), section, 1)
    }
}
