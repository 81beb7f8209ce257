#!/usr/bin/env python3
"""A machine client of the official Python SDK: `client_credentials`, without a browser.

    sdk_machine.py keys FOLDER ALGORITHM
    sdk_machine.py run MCP_URL ISSUER CLIENT_ID METHOD [--key FILE] [--algorithm ALGORITHM] [--scope SCOPE]

`keys` makes a key pair and writes `private.pem` and `jwks.json` into FOLDER. `run` calls `whoami`, once more after
its token has expired as far as the client knows, prints one JSON object (see report.py) and exits with 0; with 1 on
any failure. METHOD is `client_secret_basic`, `client_secret_post` or `private_key_jwt`; the secret is in
CLIENT_SECRET.
"""

import argparse
import asyncio
import json
import os
import pathlib
import sys
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from report import Report
from sdk_client import call
from sdk_store import Store


def make_keys(folder: pathlib.Path, algorithm: str) -> None:
    if algorithm == "ES256":
        private, writer = ec.generate_private_key(ec.SECP256R1()), ECAlgorithm
    elif algorithm == "EdDSA":
        private, writer = ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm
    else:
        private, writer = rsa.generate_private_key(65537, 2048), RSAAlgorithm
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "private.pem").write_bytes(pem)
    public = json.loads(writer.to_jwk(private.public_key()))
    (folder / "jwks.json").write_text(json.dumps({"keys": [public]}))


def provider(given: argparse.Namespace, storage: Store) -> OAuthClientProvider:
    if given.method == "private_key_jwt":
        signed = SignedJWTParameters(
            issuer=given.client_id,
            subject=given.client_id,
            signing_key=pathlib.Path(given.key).read_text(),
            signing_algorithm=given.algorithm,
        )
        return PrivateKeyJWTOAuthProvider(
            given.url,
            storage,
            given.client_id,
            assertion_provider=signed.create_assertion_provider(),
            scope=given.scope,
            issuer=given.issuer,
        )
    return ClientCredentialsOAuthProvider(
        given.url,
        storage,
        given.client_id,
        os.environ["CLIENT_SECRET"],
        token_endpoint_auth_method=given.method,
        scope=given.scope,
        issuer=given.issuer,
    )


async def run(given: argparse.Namespace, report: Report) -> None:
    storage = Store(None)
    oauth = provider(given, storage)
    report.client_id = given.client_id
    async with create_mcp_http_client(auth=oauth) as http_client:
        async with Client(streamable_http_client(given.url, http_client=http_client)) as client:
            await call(client, "whoami", report)
            before = storage.tokens
            oauth.context.token_expiry_time = time.time() - 1
            await call(client, "whoami", report)
            after = storage.tokens
            if before is None or after is None:
                raise RuntimeError("the client holds no tokens")
            report.access_token_replaced = before.access_token != after.access_token


def main() -> int:
    arguments = argparse.ArgumentParser(description="The official SDK's machine client.")
    commands = arguments.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys")
    keys.add_argument("folder", type=pathlib.Path)
    keys.add_argument("algorithm")
    running = commands.add_parser("run")
    for name in ("url", "issuer", "client_id", "method"):
        running.add_argument(name)
    running.add_argument("--key")
    running.add_argument("--algorithm", default="ES256")
    running.add_argument("--scope")
    given = arguments.parse_args()

    if given.command == "keys":
        make_keys(given.folder, given.algorithm)
        return 0
    report = Report()
    return report.of(run(given, report))


if __name__ == "__main__":
    sys.exit(main())
