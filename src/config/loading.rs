//! Reads all layers and builds the configuration.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    DevDefaults, Overrides, Source, branding, dev,
    environment::Environment,
    keyring::APPLICATION,
    model::{Authn, Config, Keys, Repositories, ResourceConfig},
    problem::{Complaint, Place, Problem, Problems},
    reader::{self, Reader},
    repositories, sections,
    settings::{Settings, Value},
    table::FILE_VARIABLE,
    value, variables,
};
use crate::{oauth::issuer::Issuer, permissions::Contents};

/// Maximum size of the configuration file, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Reads the configuration.
///
/// # Errors
///
/// All problems, each with its location and fix.
pub fn load(source: &Source<'_>) -> Result<Config, Problems> {
    survey(source).whole
}

/// The valid parts of a configuration.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The file that was read, or its default location; `None` if that is unknown.
    pub file: Option<PathBuf>,
    /// The whole configuration, or every problem.
    pub whole: Result<Config, Problems>,
    pub public_url: Option<Issuer>,
    pub issuer: Option<Issuer>,
    pub authn: Option<Authn>,
    pub resources: Vec<ResourceConfig>,
    pub keys: Option<Keys>,
    pub repository: Option<Repositories>,
}

impl Survey {
    const fn nothing(file: Option<PathBuf>, problems: Problems) -> Self {
        Self {
            file,
            whole: Err(problems),
            public_url: None,
            issuer: None,
            authn: None,
            resources: Vec::new(),
            keys: None,
            repository: None,
        }
    }
}

/// Reads all valid parts of the configuration.
pub(crate) fn survey(source: &Source<'_>) -> Survey {
    let variables = source.environment.variables();
    let (mut settings, mut problems) = (Settings::default(), Vec::new());
    let chosen = choose_file(source, &variables);
    let file = match &chosen {
        Some(chosen) => read_file(chosen, &mut settings, &mut problems),
        None => File::Absent,
    };
    finish(source, &variables, settings, problems, (file, chosen.map(|chosen| chosen.path)))
}

/// Parses the text of a configuration file; environment variables override it. Problems name `file`, and relative
/// paths start at its directory.
///
/// # Errors
///
/// All problems.
pub fn parse(text: &str, file: &Path, environment: &dyn Environment) -> Result<Config, Problems> {
    let source = Source { file: None, environment, overrides: Overrides::default(), dev: None };
    let (mut settings, mut problems) = (Settings::default(), Vec::new());
    let read = read_text(text, file, &mut settings, &mut problems);
    finish(&source, &environment.variables(), settings, problems, (read, Some(file.to_owned()))).whole
}

/// Reads only `[repository]`: problems in other sections must not keep an operator from revoking a token.
///
/// # Errors
///
/// All problems with `[repository]`.
pub fn load_repositories(source: &Source<'_>) -> Result<Repositories, Problems> {
    let variables = source.environment.variables();
    let (mut settings, mut problems) = (Settings::default(), Vec::new());
    let chosen = choose_file(source, &variables);
    let file = match &chosen {
        Some(chosen) => read_file(chosen, &mut settings, &mut problems),
        None => File::Absent,
    };
    let path = chosen.map(|chosen| chosen.path);
    let (settings, _) = lay_over(source, &variables, settings, &mut problems);
    problems.retain(|problem| problem.key.is_empty() || problem.key.starts_with("repository"));
    let mut reader = reader(source, &variables, &settings, path, problems);
    let is_named = ["repository.kind", "repository.path", "repository.url"];
    if file == File::Absent && source.dev.is_none() && !is_named.iter().any(|key| reader.is_written(key)) {
        // Otherwise an operator could mistake the default repository for the configured one.
        complain_of_missing_file(&mut reader);
    }
    let found = repositories::repositories(&mut reader, allows_memory(source));
    found.filter(|_| reader.problems.is_empty()).ok_or_else(|| Problems::new(reader.problems))
}

/// The file to read.
struct Chosen {
    path: PathBuf,
    /// Whether the user named it, so that it must exist.
    is_named: bool,
}

fn choose_file(source: &Source<'_>, variables: &BTreeMap<String, String>) -> Option<Chosen> {
    let variable = || variables.get(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = source.file.clone().or_else(variable) {
        return Some(Chosen { path, is_named: true });
    }
    let directories = source.environment.directories().filter(|_| source.dev.is_none())?;
    Some(Chosen { path: directories.config.join("config.toml"), is_named: false })
}

/// The result of reading the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    /// It does not exist, and the user did not name it.
    Absent,
    Read,
    /// It cannot be parsed, so missing keys are not reported.
    Unusable,
}

fn read_file(chosen: &Chosen, settings: &mut Settings, problems: &mut Vec<Problem>) -> File {
    match text_of(&chosen.path) {
        Ok(text) => read_text(&text, &chosen.path, settings, problems),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !chosen.is_named => File::Absent,
        Err(error) => {
            let what = format!("cannot read the configuration file ({error})");
            let fix = "Use --config with another file; `pangea-mcp-auth serve --dev` needs no configuration";
            problems.push(Complaint::new(what, fix).at(Place::File(chosen.path.clone(), None), ""));
            File::Unusable
        }
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

fn read_text(text: &str, file: &Path, settings: &mut Settings, problems: &mut Vec<Problem>) -> File {
    if settings.read_toml(text, file, problems) { File::Read } else { File::Unusable }
}

/// Adds the other layers and builds the configuration.
fn finish(
    source: &Source<'_>,
    variables: &BTreeMap<String, String>,
    settings: Settings,
    mut problems: Vec<Problem>,
    (file, path): (File, Option<PathBuf>),
) -> Survey {
    let (settings, dev_complaint) = lay_over(source, variables, settings, &mut problems);
    if file == File::Unusable {
        return Survey::nothing(path, Problems::new(problems));
    }
    let mut reader = reader(source, variables, &settings, path.clone(), problems);
    if let Some(complaint) = dev_complaint {
        reader.complain("keys.sealing", complaint);
    }
    if let Some(path) = path.as_ref().filter(|_| file == File::Read) {
        reader.judge_file("", path, Contents::Trusted);
    }
    if file == File::Absent && source.dev.is_none() {
        complain_of_missing_file(&mut reader);
    } else {
        complain_of_missing_keys(&mut reader, source.dev.is_some());
    }
    Survey { file: path, ..build(reader, source) }
}

/// Adds environment, options and defaults to the settings of the file. The complaint concerns the defaults of
/// development.
fn lay_over(
    source: &Source<'_>,
    variables: &BTreeMap<String, String>,
    mut settings: Settings,
    problems: &mut Vec<Problem>,
) -> (Settings, Option<Complaint>) {
    variables::read(&mut settings, variables, problems);
    apply_overrides(&mut settings, &source.overrides);
    let dev_complaint = source.dev.as_ref().and_then(|dev| dev::fill(&mut settings, dev).err());
    fill_repository_path(&mut settings, source.environment);
    reader::fill_defaults(&mut settings);
    (settings, dev_complaint)
}

fn reader<'a>(
    source: &'a Source<'_>,
    variables: &'a BTreeMap<String, String>,
    settings: &'a Settings,
    path: Option<PathBuf>,
    problems: Vec<Problem>,
) -> Reader<'a> {
    let file = path.map_or(Place::Nowhere, |path| Place::File(path, None));
    Reader { settings, environment: source.environment, variables, file, problems, warnings: Vec::new() }
}

const fn allows_memory(source: &Source<'_>) -> bool {
    source.dev.is_some() || source.overrides.allow_volatile
}

fn apply_overrides(settings: &mut Settings, overrides: &Overrides) {
    if let Some(listen) = &overrides.listen {
        settings.set("listen", Value::Text(listen.clone()), Place::Flag("--listen"));
    }
    if let Some(level) = &overrides.log_level {
        settings.set("log.level", Value::Text(level.clone()), Place::Flag("--verbose"));
    }
}

/// The default that depends on the platform.
fn fill_repository_path(settings: &mut Settings, environment: &dyn Environment) {
    if let Some(directories) = environment.directories() {
        let path = directories.state.join(format!("{APPLICATION}.sqlite"));
        settings.fill("repository.path", Value::Text(path.to_string_lossy().into_owned()));
    }
}

/// A missing file is one problem, not one for each missing key.
fn complain_of_missing_file(reader: &mut Reader<'_>) {
    let mut lacking: Vec<String> = reader.missing().into_iter().map(|(_, path)| path).collect();
    if lacks_resources(reader) {
        lacking.push("resources".to_owned());
    }
    if lacking.is_empty() {
        return;
    }
    let what = match reader.file {
        Place::File(..) => "this file does not exist",
        _ => "there is no configuration file, and no home directory to look for one",
    };
    let what = format!("{what}, and the environment does not set {}", lacking.join(", "));
    let fix = "Create one with `pangea-mcp-auth init`, or use --config with another file; `pangea-mcp-auth serve --dev` \
               needs no configuration";
    let place = reader.file.clone();
    reader.problems.push(Complaint::new(what, fix).at(place, ""));
}

fn complain_of_missing_keys(reader: &mut Reader<'_>, dev: bool) {
    for (key, path) in reader.missing() {
        reader.complain_of_missing(key, &path);
    }
    if !dev && lacks_resources(reader) {
        let fix = "Add `[[resources]]` with `url = \"https://mcp.example.org/mcp\"` below it";
        reader.complain("resources", Complaint::new("no MCP server is configured", fix));
    }
}

fn lacks_resources(reader: &Reader<'_>) -> bool {
    reader.settings.instances("resources.#").is_empty() && !reader.has_complained("resources")
}

fn build(mut reader: Reader<'_>, source: &Source<'_>) -> Survey {
    let dev: Option<&DevDefaults<'_>> = source.dev.as_ref();
    let public_url = reader.text("public_url", value::issuer);
    let issuer = reader.text("issuer", value::issuer);
    let (listen, admin_listen) = sections::listeners(&mut reader, dev.is_some());
    let trusted_proxies = reader.texts("trusted_proxies", value::network);
    let authn = sections::authn(&mut reader);
    let says_everybody = reader.boolean("access.everybody");
    let access = sections::access(&mut reader, says_everybody);
    let resources = sections::resources(&mut reader);
    let keys = sections::keys(&mut reader);
    let repository = repositories::repositories(&mut reader, allows_memory(source));
    let client_documents = sections::client_documents(&mut reader, dev.is_some());
    let registration = sections::registration(&mut reader);
    let lifetimes = sections::lifetimes(&mut reader);
    let claims = sections::claims(&mut reader);
    let limits = sections::limits(&mut reader);
    let branding = branding::branding(&mut reader);
    let log = sections::log(&mut reader);
    if dev.is_some() {
        sections::expect_loopback(&mut reader, "public_url", public_url.as_ref());
        sections::expect_loopback(&mut reader, "issuer", issuer.as_ref());
    }
    let issuer = issuer.or_else(|| public_url.clone());
    let parts = Survey {
        file: None,
        whole: Err(Problems::new(Vec::new())),
        public_url: public_url.clone(),
        issuer: issuer.clone(),
        authn: authn.clone(),
        resources: resources.clone(),
        keys: keys.clone(),
        repository: repository.clone(),
    };
    let whole = match (public_url, issuer, authn, keys, repository, log) {
        (Some(public_url), Some(issuer), Some(authn), Some(keys), Some(repository), Some(log))
            if reader.problems.is_empty() =>
        {
            Ok(Config {
                issuer,
                public_url,
                listen,
                admin_listen,
                trusted_proxies,
                authn,
                access,
                says_everybody,
                resources,
                any_loopback_resource: dev.map(|dev| dev.any_loopback_resource.clone()),
                keys,
                repository,
                client_documents,
                registration,
                lifetimes,
                claims,
                limits,
                branding,
                log,
                from_environment: reader.settings.given_by_environment(),
                warnings: reader.warnings,
            })
        }
        _ => Err(Problems::new(reader.problems)),
    };
    Survey { whole, ..parts }
}
