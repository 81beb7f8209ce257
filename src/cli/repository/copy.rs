//! `repository copy`

use std::{path::Path, sync::Arc};

use serde::Serialize;

use super::places::{Purpose, open, repositories_at};
use crate::{
    audit::Event,
    cli::{
        Global, connection,
        failure::{Exit, Failure},
        output::{Output, Row, Style},
        table::Column,
    },
    clock::SystemClock,
    config::{Repositories, RepositoryConfig},
    migration::{Checked, Migration, Tally},
};

/// Where nobody sees a bar there is a line for each tenth, unless it has fewer records.
const A_LINE_EVERY: u64 = 1000;

/// Copies every record into another repository.
///
/// A daemon may go on serving from the source. What is in the target already is skipped, so a copy
/// that was interrupted is run again, and a second run brings what has changed, come or gone
/// meanwhile. At the end both sides are read and compared.
///
/// A place is a configuration file, of which only [repository] is read, or sqlite:PATH.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth repository copy --to postgres.toml --dry-run
  pangea-mcp-auth repository copy --to postgres.toml
  pangea-mcp-auth repository copy --from postgres.toml --to sqlite:backup.sqlite")]
pub(super) struct Copy {
    /// Where to read; the configured repository if not given.
    #[arg(long, value_name = "PLACE", value_hint = clap::ValueHint::FilePath)]
    from: Option<String>,
    /// Where to write.
    #[arg(long, value_name = "PLACE", value_hint = clap::ValueHint::FilePath)]
    to: String,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Copy {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let from = match &self.from {
            Some(place) => repositories_at(place, "--from")?,
            None => connection::load_repositories(global)?,
        };
        let to = repositories_at(&self.to, "--to")?;
        require_existence(&from)?;
        if self.from.is_none() {
            connection::tell_repository(output, &from);
        }
        let from = open(&from, "--from", Purpose::Read).await?;
        let to = open(&to, "--to", Purpose::target(self.dry_run)).await?;
        let migration = Migration { from, to, clock: Arc::new(SystemClock) };
        connection::start_log(global, connection::load(global).ok().as_ref());
        let tallies = self.copy(&migration, output).await?;
        let records: u64 = tallies.iter().map(|tally| tally.added + tally.replaced + tally.removed).sum();
        if !self.dry_run && records > 0 {
            connection::audit(Event::RepositoryCopy { records });
        }
        let checked = if self.dry_run { Vec::new() } else { migration.check().await? };
        let mut list = output.list(&COLUMNS);
        for tally in &tallies {
            let checked = checked.iter().find(|checked| checked.kind == tally.kind);
            list.push(&Moved::of(tally, checked));
        }
        list.finish();
        if self.dry_run {
            output.remark("nothing was written");
            return Ok(());
        }
        differences(&checked)
    }

    async fn copy(&self, migration: &Migration, output: &Output) -> Result<Vec<Tally>, Failure> {
        let total = migration.size().await?;
        let bar = output.progress(if self.dry_run { "comparing" } else { "copying" }, Some(total));
        let (mut seen, step) = (0, (total / 10).max(A_LINE_EVERY));
        let tallies = migration.copy(!self.dry_run, || {
            seen += 1;
            bar.inc(1);
            if bar.is_hidden() && seen % step == 0 {
                output.say(&format!("{seen} of {total} records"));
            }
        });
        let tallies = tallies.await;
        bar.finish_and_clear();
        Ok(tallies?)
    }
}

/// That both sides hold the same, or else which kinds differ.
fn differences(checked: &[Checked]) -> Result<(), Failure> {
    let differing: Vec<&str> = checked.iter().filter(|kind| !kind.agrees()).map(|kind| kind.kind).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let message = format!("the two sides do not hold the same: {}", differing.join(", "));
    let hint = "a daemon wrote meanwhile: run it again. If one serves from the target already, what is newer there \
                stays, and this is as it should be";
    Err(Failure::new(Exit::Partly, message).hint(hint))
}

/// Whoever mistypes the path of a database gets no empty one.
fn require_existence(from: &Repositories) -> Result<(), Failure> {
    let missing = from.all().find_map(|place| match place {
        RepositoryConfig::Sqlite { path } if !Path::exists(path) => Some(path.display()),
        _ => None,
    });
    missing.map_or(Ok(()), |path| Err(Failure::new(Exit::NotFound, format!("there is no file {path}"))))
}
const COLUMNS: [Column; 8] = [
    Column::new("KIND", 0),
    Column::new("READ", 0),
    Column::new("ADDED", 0),
    Column::new("REPLACED", 0),
    Column::new("REMOVED", 0),
    Column::new("KEPT", 0),
    Column::new("IN TARGET", 1),
    Column::new("VERIFIED", 1),
];

/// What was done with one kind of record.
#[derive(Debug, Serialize)]
struct Moved {
    kind: &'static str,
    read: u64,
    added: u64,
    replaced: u64,
    removed: u64,
    kept: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

/// What both sides hold in the end.
#[derive(Debug, Serialize)]
struct Comparison {
    verified: bool,
    source_count: u64,
    source_checksum: String,
    target_count: u64,
    target_checksum: String,
}

impl Moved {
    fn of(tally: &Tally, checked: Option<&Checked>) -> Self {
        let Tally { kind, read, added, replaced, kept, removed } = *tally;
        let comparison = checked.map(|checked| Comparison {
            verified: checked.agrees(),
            source_count: checked.source.0,
            source_checksum: checked.source.1.clone(),
            target_count: checked.target.0,
            target_checksum: checked.target.1.clone(),
        });
        Self { kind, read, added, replaced, removed, kept, comparison }
    }
}

impl Row for Moved {
    fn id(&self) -> String {
        self.kind.to_owned()
    }

    fn cells(&self, _: Style) -> Vec<String> {
        let numbers = [self.read, self.added, self.replaced, self.removed, self.kept];
        let (held, verified) = self.comparison.as_ref().map_or((String::new(), ""), |comparison| {
            (comparison.target_count.to_string(), if comparison.verified { "yes" } else { "no" })
        });
        let numbers = numbers.iter().map(u64::to_string);
        std::iter::once(self.kind.to_owned()).chain(numbers).chain([held, verified.to_owned()]).collect()
    }
}
