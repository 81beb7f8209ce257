//! Whether a connection is a session of its own, or leads to a pooler that hands each statement to
//! whichever session is free. A statement that one session keeps is unknown in another, or, worse,
//! there is another one of its name.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use deadpool_postgres::{ClientWrapper, ConfigConnectImpl, Connect};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::statements::KEPT;
use crate::secret::{SystemRandom, random_token};

/// A setting that nobody else has. A server sets it when it begins a session for us; a pooler
/// refuses it or leaves it out, for its sessions are for everybody.
const MARK: &str = "pangea_mcp_auth.daemon";

/// Makes connections, and notices whether they are sessions.
#[derive(Clone)]
pub(super) struct Sessions {
    connector: Arc<ConfigConnectImpl<MakeRustlsConnect>>,
    mark: Arc<str>,
    are_own: Arc<AtomicBool>,
}

impl Sessions {
    /// Until a pooler is met, every connection is taken for a session.
    pub(super) fn new(tls: MakeRustlsConnect) -> Self {
        Self {
            connector: Arc::new(ConfigConnectImpl { tls }),
            mark: random_token(&SystemRandom).into(),
            are_own: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Whether the server keeps statements for us. Once a pooler was met, never again.
    pub(super) fn are_own(&self) -> bool {
        self.are_own.load(Ordering::Acquire)
    }

    fn are_shared(&self) {
        self.are_own.store(false, Ordering::Release);
    }

    /// What a new connection is for: it leaves with the server the statements that come again and
    /// again, if the server is there for us alone.
    pub(super) async fn begin(&self, client: &ClientWrapper) -> Result<(), Error> {
        if !self.are_own() {
            return Ok(());
        }
        let question = format!("SELECT current_setting('{MARK}', true)");
        let row = client.query_typed_one(&question, &[]).await?;
        if row.try_get::<_, Option<&str>>(0)? != Some(&*self.mark) {
            self.are_shared();
            return Ok(());
        }
        for (text, types) in KEPT {
            match client.prepare_typed_cached(text, types).await {
                // There may be no table yet, or another one: whoever uses it will say so.
                Err(error) if error.as_db_error().is_some() => return Ok(()),
                outcome => outcome?,
            };
        }
        Ok(())
    }

    fn marked(&self, config: &Config) -> Config {
        let mut marked = config.clone();
        let options = config.get_options().unwrap_or_default();
        marked.options(format!("{options} -c {MARK}={}", self.mark).trim_start());
        marked
    }
}

impl Connect for Sessions {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            if self.are_own() {
                match self.connector.connect(&self.marked(&config)).await {
                    Err(error) if refuses_options(&error) => self.are_shared(),
                    outcome => return outcome,
                }
            }
            self.connector.connect(&config).await
        })
    }
}

/// As `PgBouncer` (a breach of the protocol) and others (not supported) say it.
fn refuses_options(error: &Error) -> bool {
    matches!(error.code(), Some(&(SqlState::PROTOCOL_VIOLATION | SqlState::FEATURE_NOT_SUPPORTED)))
}
