//! `keys list`

use serde::Serialize;

use crate::{
    cli::{
        connection::Connection,
        failure::Failure,
        output::{Output, Row, Style},
        table::Column,
        times::Moment,
    },
    clock::{Clock, SystemClock},
    keys::{self, KeyInfo},
};

const COLUMNS: [Column; 6] = [
    Column::new("KID", 0),
    Column::new("ALGORITHM", 1),
    Column::new("STATE", 0),
    Column::new("CREATED", 2),
    Column::new("SIGNS FROM", 0),
    Column::new("PUBLISHED UNTIL", 0),
];

/// List signing keys, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth keys list
  pangea-mcp-auth keys list -o json")]
pub(crate) struct List {}

#[derive(Debug, Serialize)]
struct KeyRow {
    kid: String,
    algorithm: &'static str,
    state: &'static str,
    created_at: Moment,
    signs_from: Moment,
    /// When it is no longer published; null until it has a successor.
    expires_at: Option<Moment>,
}

impl From<KeyInfo> for KeyRow {
    fn from(key: KeyInfo) -> Self {
        Self {
            kid: key.kid,
            algorithm: key.algorithm.as_str(),
            state: key.state.as_str(),
            created_at: key.created_at.into(),
            signs_from: key.signs_from.into(),
            expires_at: key.expires_at.map(Moment::from),
        }
    }
}

impl Row for KeyRow {
    fn id(&self) -> String {
        self.kid.clone()
    }

    fn cells(&self, style: Style) -> Vec<String> {
        vec![
            self.kid.clone(),
            self.algorithm.to_owned(),
            self.state.to_owned(),
            style.time(self.created_at.time()),
            style.time(self.signs_from.time()),
            self.expires_at.map(|at| style.time(at.time())).unwrap_or_default(),
        ]
    }
}

pub(super) async fn list(connection: &Connection, output: &Output) -> Result<(), Failure> {
    let mut list = output.list(&COLUMNS);
    for key in keys::list(&connection.repository, SystemClock.now()).await? {
        list.push(&KeyRow::from(key));
    }
    list.finish();
    Ok(())
}
