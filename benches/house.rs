//! What the parts cost, without HTTP: `cargo bench --bench house`.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pangea_mcp_auth::{
    clock::UnixTime,
    keys::Keys,
    oauth::{
        issuer::Issuer,
        params::Params,
        redirect::{PrivateUseSchemes, RedirectUri},
        resource::Resource,
        scope::Scope,
        token::{Claims, PersonClaims, SigningAlgorithm},
    },
    repository::{Kind, MemoryRepository, Record, Repository, SqliteRepository, Write},
    secret::{Sealer, SealingKey, SystemRandom, TokenHash},
};
use tokio::runtime::Runtime;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const QUERY: &[u8] = b"response_type=code&client_id=mcp_0123456789abcdefghijkl&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb\
    &state=0123456789012345678901234567890123456789012&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
    &code_challenge_method=S256&resource=https%3A%2F%2Fmcp.example.org%2Fmcp&scope=user";

fn protocol(c: &mut Criterion) {
    let random = Arc::new(SystemRandom);
    let sealer = Sealer::new(&SealingKey::generate(&SystemRandom), random);
    let sealed = sealer.seal(&["context"], &[7; 600]);
    let registered = RedirectUri::parse("http://127.0.0.1:3000/cb", &PrivateUseSchemes::Any).unwrap();
    c.bench_function("params", |b| b.iter(|| Params::parse(black_box(QUERY)).unwrap()));
    c.bench_function("redirect match", |b| {
        b.iter(|| registered.matched(black_box("http://127.0.0.1:4711/cb")));
    });
    c.bench_function("seal 600 bytes", |b| b.iter(|| sealer.seal(&["context"], black_box(&[7; 600]))));
    c.bench_function("open 600 bytes", |b| b.iter(|| sealer.open(&["context"], black_box(&sealed)).unwrap()));
    c.bench_function("hash a token", |b| b.iter(|| TokenHash::of(black_box(&sealed))));
}

fn signing(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let sealer = Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom));
    let (iss, aud) =
        (Issuer::parse("https://a.example").unwrap(), Resource::parse("https://r.example/mcp").unwrap());
    let scope = Scope::parse("user").unwrap();
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let keys = Keys::load(Arc::new(MemoryRepository::default()), sealer.clone(), algorithm, NOW);
        let keys = runtime.block_on(keys).unwrap();
        c.bench_function(&format!("sign {}", algorithm.as_str()), |b| {
            b.iter(|| {
                let claims = Claims {
                    iss: &iss,
                    sub: "pui_x",
                    aud: &aud,
                    client_id: "c",
                    scope: &scope,
                    iat: NOW,
                    exp: NOW.plus(Duration::from_mins(10)),
                    jti: "j.1".to_owned(),
                    person: PersonClaims::default(),
                };
                keys.sign(&claims, NOW).unwrap()
            });
        });
    }
}

fn record(key: &str) -> Record {
    Record { key: key.to_owned(), value: "x".repeat(1200), parent: None, expires_at: None }
}

fn sqlite(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let repository = Arc::new(SqliteRepository::open(&folder.path().join("bench.sqlite")).unwrap());
    runtime.block_on(async {
        for n in 0..64 {
            let _ = repository.insert(Kind::Grant, &record(&format!("k{n}")), NOW).await.unwrap();
        }
    });
    c.bench_function("sqlite get", |b| {
        b.to_async(&runtime)
            .iter(|| async { repository.get(Kind::Grant, "k1", NOW).await.unwrap().unwrap() });
    });
    for callers in [1, 64] {
        c.bench_function(&format!("sqlite replace, {callers} at once"), |b| {
            b.to_async(&runtime).iter_batched(
                || Arc::clone(&repository),
                |repository| async move {
                    let tasks = (0..callers).map(|n| tokio::spawn(replace(Arc::clone(&repository), n)));
                    for task in tasks.collect::<Vec<_>>() {
                        assert!(matches!(task.await.unwrap(), Write::Done(_)));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
}

async fn replace(repository: Arc<SqliteRepository>, n: usize) -> Write {
    let key = format!("k{n}");
    let read = repository.get(Kind::Grant, &key, NOW).await.unwrap().unwrap();
    repository.replace(Kind::Grant, &record(&key), read.version, NOW).await.unwrap()
}

criterion_group!(benches, protocol, signing, sqlite);
criterion_main!(benches);
