"""Where the clients of the official Python SDK keep what they were given."""

import argparse
from pathlib import Path

from mcp.client.auth import TokenStorage
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken


class Store(TokenStorage):
    """Keeps client and tokens in memory, and in a directory if there is one."""

    def __init__(self, directory: Path | None, without_tokens: bool = False) -> None:
        self.directory = directory
        self.tokens: OAuthToken | None = None
        self.client_info: OAuthClientInformationFull | None = None
        if directory and (directory / "client.json").exists():
            self.client_info = OAuthClientInformationFull.model_validate_json((directory / "client.json").read_text())
            if not without_tokens:
                self.tokens = OAuthToken.model_validate_json((directory / "tokens.json").read_text())

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens
        if self.directory:
            (self.directory / "tokens.json").write_text(tokens.model_dump_json())

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client_info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client_info = client_info
        if self.directory:
            (self.directory / "client.json").write_text(client_info.model_dump_json())


def storing(arguments: argparse.ArgumentParser) -> None:
    """Adds the options about what is stored and what is done with it."""
    arguments.add_argument("--store", type=Path)
    arguments.add_argument("--sign-in-again", action="store_true")
    arguments.add_argument("--refresh", action="store_true")
    arguments.add_argument("--step-up", action="store_true")
