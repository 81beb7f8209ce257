"""Keeps clients in Vault as the original library does, unchanged.

    python3 keep_client.py VAULT_URL TOKEN FOLDER

FOLDER may be empty, as it is for a repository that was made without one. Prints each client as JSON, one a line.
"""

import asyncio
import sys
import time
from uuid import uuid4

from mcp.shared.auth import OAuthClientInformationFull
from pangea import PangeaConfig
from pangea.asyncio.services.vault import VaultAsync
from pangea_authn_fastmcp import PangeaOAuthProvider, PangeaVaultRepository

VAULT, TOKEN, FOLDER = sys.argv[1:]


def client(method: str, secret: str | None, redirect_uri: str) -> OAuthClientInformationFull:
    """As the SDK's registration endpoint makes one."""
    return OAuthClientInformationFull(
        client_id=str(uuid4()),
        client_id_issued_at=int(time.time()),
        client_secret=secret,
        client_name="Kept by the original",
        redirect_uris=[redirect_uri],
        token_endpoint_auth_method=method,
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope="user",
    )


async def main() -> None:
    repository = PangeaVaultRepository(OAuthClientInformationFull, TOKEN, folder=FOLDER or None)
    repository._client = VaultAsync(TOKEN, PangeaConfig(base_url_template=VAULT))
    provider = PangeaOAuthProvider(
        mcp_base_url="http://127.0.0.1:9999",
        mcp_scopes=["user"],
        pangea_authn_issuer_url="http://127.0.0.1:9998",
        pangea_authn_client_id="psa_original",
        pangea_authn_client_secret="pck_original",
        pangea_authn_scopes=["user"],
        clients_repository=repository,
    )
    for kept in [
        client("client_secret_post", "original-secret-canary", "http://127.0.0.1:4711/callback"),
        client("none", None, "http://127.0.0.1:4711/callback"),
    ]:
        await provider.register_client(kept)
        assert await provider.get_client(kept.client_id) == kept
        print(kept.model_dump_json())


asyncio.run(main())
