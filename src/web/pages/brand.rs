//! Whose pages these are, as the operator says.

/// The operator of this server. Pages show it outside the card with the question, so that it is not taken for the
/// client, which is inside.
#[derive(Debug, Clone, Default)]
pub struct Brand {
    pub name: Option<String>,
    /// The logo's path on this server.
    pub logo: Option<String>,
    pub support_url: Option<String>,
    pub privacy_url: Option<String>,
    /// This server's host. Pages show it instead of a name.
    pub host: String,
}

impl Brand {
    /// Whether a page shows anything of it.
    pub(super) const fn is_shown(&self) -> bool {
        self.has_header() || self.has_footer()
    }

    pub(super) const fn has_header(&self) -> bool {
        self.name.is_some() || self.logo.is_some()
    }

    pub(super) const fn has_footer(&self) -> bool {
        self.support_url.is_some() || self.privacy_url.is_some()
    }

    pub(super) fn owner(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host)
    }
}
