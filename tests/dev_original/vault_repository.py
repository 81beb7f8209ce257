"""Keeps values in the simulator of Vault with the original library's own repository, unchanged.

    python3 vault_repository.py STAGE_URL VAULT_TOKEN

Leaves one value behind, so that it can be looked at.
"""

import asyncio
import sys

from pangea import PangeaConfig
from pangea.asyncio.services.vault import VaultAsync
from pangea_authn_fastmcp.repositories.pangea_vault_repository import PangeaVaultRepository
from pydantic import BaseModel

STAGE, TOKEN = sys.argv[1:]
# As the original names an access token.
KEY = "mcp_" + "0f" * 32


class Token(BaseModel):
    token: str
    scopes: list[str]


def check(holds: bool, what: object) -> None:
    if not holds:
        raise AssertionError(what)


async def main() -> None:
    repository = PangeaVaultRepository(Token, TOKEN, folder="/original/tokens")
    await repository._client.close()
    repository._client = VaultAsync(TOKEN, PangeaConfig(base_url_template=STAGE))
    first, second = Token(token="ptu_1", scopes=["user"]), Token(token="ptu_2", scopes=[])

    check(await repository.get(KEY) is None, "nothing yet")
    await repository.delete(KEY)
    await repository.set(KEY, first)
    check(await repository.get(KEY) == first, "stored")
    await repository.set(KEY, second)
    check(await repository.get(KEY) == second, "replaced")
    await repository.set("client_to_authn_4f2b", first)
    await repository.delete(KEY)
    check(await repository.get(KEY) is None, "deleted")
    check(await repository.get("client_to_authn_4f2b") == first, "the other one stays")
    await repository.set("client_to_authn_4f2b", second)
    await repository._client.close()
    print("kept values with the original library")


asyncio.run(main())
