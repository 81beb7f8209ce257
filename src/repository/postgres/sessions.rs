//! Whether a connection is a session of its own or leads to a pooler, which may run each statement in another
//! session. A statement that was prepared in one session is missing in another, or has the name of a different one.

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

/// A setting of our own. A server sets it at the start of our session. A pooler refuses or drops it, because its
/// sessions are shared.
const MARK: &str = "pangea_mcp_auth.daemon";

/// Opens connections, and detects poolers.
#[derive(Clone)]
pub(super) struct Sessions {
    connector: Arc<ConfigConnectImpl<MakeRustlsConnect>>,
    mark: Arc<str>,
    are_own: Arc<AtomicBool>,
}

impl Sessions {
    /// Assumes sessions until a pooler is detected.
    pub(super) fn new(tls: MakeRustlsConnect) -> Self {
        Self {
            connector: Arc::new(ConfigConnectImpl { tls }),
            mark: random_token(&SystemRandom).into(),
            are_own: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Whether statements can be prepared. Stays false once a pooler was detected.
    pub(super) fn are_own(&self) -> bool {
        self.are_own.load(Ordering::Acquire)
    }

    fn are_shared(&self) {
        self.are_own.store(false, Ordering::Release);
    }

    /// Prepares the most frequent statements on a new connection, if it is a session.
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
                // If there is no table yet, or another one, the first statement reports that.
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

/// The answers of `PgBouncer` (a protocol violation) and of other poolers (not supported).
fn refuses_options(error: &Error) -> bool {
    matches!(error.code(), Some(&(SqlState::PROTOCOL_VIOLATION | SqlState::FEATURE_NOT_SUPPORTED)))
}
