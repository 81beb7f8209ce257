//! The names of findings. `docs/check.md` has a row for each, which a test reads from here.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Configuration,
    Secrets,
    Access,
    UpstreamIssuer,
    UpstreamClock,
    UpstreamAuthorize,
    UpstreamCredentials,
    UpstreamWrongSecret,
    Repository,
    RepositoryRoundTrip,
    RepositorySettings,
    RepositoryWriter,
    Keys,
    PublicHost,
    PublicAddress,
    PublicMetadata,
    PublicCors,
    PublicResourceMetadata,
    PublicJwks,
    PublicKeys,
    ResourceConfigured,
    ResourceChallenge,
    ResourceMetadata,
    ResourceAuthorizationServers,
    ResourceScopes,
    ResourceTokens,
}

impl Topic {
    /// The stable name of the finding.
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

    /// The name for one of several repositories, by its section in the configuration.
    pub(super) fn name_in(self, section: &str) -> String {
        self.name().replacen(Self::Repository.name(), section, 1)
    }
}
