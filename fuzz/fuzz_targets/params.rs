//! Query and form parameters: read as the URL standard reads them, or refused.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::oauth::params::Params;

fuzz_target!(|bytes: &[u8]| {
    let Ok(params) = Params::parse(bytes) else { return };
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        expected.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    for (name, values) in expected {
        let filled: Vec<&str> = values.iter().map(String::as_str).filter(|value| !value.is_empty()).collect();
        assert_eq!(params.all(&name).collect::<Vec<_>>(), filled);
        match (params.one(&name), values.len()) {
            (Ok(one), 1) => assert_eq!(one, filled.first().copied()),
            (Err(_), 2..) => {}
            (other, times) => panic!("{name:?} came {times} times and was read as {other:?}"),
        }
    }
});
