//! One connection to one server, which all callers share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ::redis::{PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection, pipe};

use super::{address::Server, names::code, scripts::Request};

/// An open connection.
pub(super) struct Link {
    pub(super) server: Server,
    pub(super) connection: MultiplexedConnection,
    is_closed: Arc<AtomicBool>,
}

impl Link {
    /// A flag that is set when the connection ends, and the callback that sets it.
    pub(super) fn ending() -> (Arc<AtomicBool>, impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static) {
        let is_closed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_closed);
        let note = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                told.store(true, Ordering::Release);
            }
            Ok(())
        };
        (is_closed, note)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub(super) const fn new(
        server: Server,
        connection: MultiplexedConnection,
        is_closed: Arc<AtomicBool>,
    ) -> Self {
        Self { server, connection, is_closed }
    }

    /// Sends a request. Loads its script first if the server does not have it.
    pub(super) async fn ask(&self, request: &Request, is_asking: bool) -> Result<Value, RedisError> {
        let answer = self.send(request, is_asking).await;
        let Some(script) = request.script_of() else { return answer };
        match answer {
            Err(error) if code(&error) == Some("NOSCRIPT") => {
                script.load_async(&mut self.connection.clone()).await?;
                self.send(request, is_asking).await
            }
            answer => answer,
        }
    }

    async fn send(&self, request: &Request, is_asking: bool) -> Result<Value, RedisError> {
        let (mut connection, command) = (self.connection.clone(), request.command());
        if !is_asking {
            return command.query_async(&mut connection).await;
        }
        let mut both = pipe();
        both.cmd("ASKING").ignore().add_command(command);
        let [value] = both.query_async(&mut connection).await?;
        Ok(value)
    }
}
