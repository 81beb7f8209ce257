//! A complete FastMCP server for this set-up.

use serde_json::json;
use url::Url;

use super::answers::Answers;

/// FastMCP's default path and port.
const USUAL_PATH: &str = "/mcp";
const USUAL_PORT: u16 = 9000;

pub(super) fn program(answers: &Answers) -> String {
    let issuer = answers.public_url.as_ref().map(ToString::to_string).unwrap_or_default();
    let audience = answers.mcp_url.as_ref().map(ToString::to_string).unwrap_or_default();
    let public = Url::parse(&audience).ok();
    let base = public.as_ref().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    // Behind a proxy or gateway, it listens on another address than its public one.
    let own = answers.gateway.as_ref().or_else(|| public.as_ref().filter(|url| url.scheme() == "http"));
    let port = own.and_then(Url::port).unwrap_or(USUAL_PORT);
    let path = public.as_ref().map(Url::path).filter(|path| *path != USUAL_PATH);
    let path = path.map(|path| format!(", path={}", json!(path))).unwrap_or_default();
    let name = json!(answers.mcp_name.as_deref().unwrap_or("My server"));
    format!(
        r#"from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token

auth = RemoteAuthProvider(
    token_verifier=JWTVerifier(
        jwks_uri="{issuer}/jwks.json",
        issuer="{issuer}",
        audience="{audience}",
        algorithm="ES256",
    ),
    authorization_servers=["{issuer}"],
    base_url="{base}",
)
mcp = FastMCP({name}, auth=auth)

@mcp.tool
def whoami() -> dict:
    return get_access_token().claims

mcp.run(transport="http", port={port}{path})
"#
    )
}
