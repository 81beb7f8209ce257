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

/// Without a progress bar, a line is printed for each tenth of the records, but at least this many apart.
const A_LINE_EVERY: u64 = 1000;

/// Copy every record to another repository.
///
/// A daemon can keep serving from the source. Records that are already in the target are skipped, so you can
/// run an interrupted copy again. A second run transfers what was changed, added or deleted meanwhile. At
/// the end, both repositories are read and compared.
///
/// A LOCATION is a configuration file, of which only [repository] is read, or sqlite:PATH.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth repository copy --to postgres.toml --dry-run
  pangea-mcp-auth repository copy --to postgres.toml
  pangea-mcp-auth repository copy --from postgres.toml --to sqlite:backup.sqlite")]
pub(super) struct Copy {
    /// Source [default: the configured repository].
    #[arg(long, value_name = "LOCATION", value_hint = clap::ValueHint::FilePath)]
    from: Option<String>,
    /// Target.
    #[arg(long, value_name = "LOCATION", value_hint = clap::ValueHint::FilePath)]
    to: String,
    /// Show what would be done, without changing anything.
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

/// Fails if the two repositories differ.
fn differences(checked: &[Checked]) -> Result<(), Failure> {
    let differing: Vec<&str> = checked.iter().filter(|kind| !kind.agrees()).map(|kind| kind.kind).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let message = format!("source and target differ: {}", differing.join(", "));
    let hint = "a daemon wrote meanwhile: run the copy again. If a daemon already serves from the target, its newer \
                records stay, and this is expected";
    Err(Failure::new(Exit::Partly, message).hint(hint))
}

/// A mistyped path is an error, not an empty database.
fn require_existence(from: &Repositories) -> Result<(), Failure> {
    let missing = from.all().find_map(|place| match place {
        RepositoryConfig::Sqlite { path } if !Path::exists(path) => Some(path.display()),
        _ => None,
    });
    missing.map_or(Ok(()), |path| Err(Failure::new(Exit::NotFound, format!("no such file: {path}"))))
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

/// The contents of both repositories at the end.
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
