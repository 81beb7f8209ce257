#!/usr/bin/env python3
"""An MCP server made with FastMCP that leaves sign-in to an authorization server elsewhere.

    fastmcp_server.py jwt|introspection ISSUER PORT [--host HOST] [--scope SCOPES] [--privileged SCOPE]

Its resource is http://HOST:PORT/mcp; port 0 takes a free one. It demands every word of SCOPES, none if that
is empty. Prints `ready URL` once it accepts
connections and runs until it is killed. In mode `introspection` the environment holds
INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET.

Tools: `whoami` tells what the token says; `privileged` exists with `--privileged` and needs that
scope: a call without it gets HTTP 403 and the challenge of RFC 6750 section 3.1.
"""

import argparse
import json
import os
import socket
from typing import Any

import httpx2
import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider, TokenVerifier
from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def token_verifier(mode: str, issuer: str, resource: str, scopes: list[str]) -> TokenVerifier:
    if mode == "jwt":
        return JWTVerifier(
            jwks_uri=f"{issuer}/jwks.json",
            issuer=issuer,
            audience=resource,
            algorithm="ES256",
            required_scopes=scopes,
        )
    return IntrospectionTokenVerifier(
        introspection_url=f"{issuer}/introspect",
        client_id=os.environ["INTROSPECTION_CLIENT_ID"],
        client_secret=os.environ["INTROSPECTION_CLIENT_SECRET"],
        audience=resource,
        required_scopes=scopes,
        http_client=httpx2.AsyncClient(timeout=10),
    )


class PrivilegedTool:
    """Answers a call of `privileged` with 403 unless the token has the scope; FastMCP itself never does."""

    def __init__(self, app: ASGIApp, scope: str, needed: str, metadata_url: str) -> None:
        self.app = app
        self.scope = scope
        self.challenge = f'Bearer error="insufficient_scope", scope="{needed}", resource_metadata="{metadata_url}"'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = scope.get("user")
        if user and scope.get("method") == "POST":
            receive, called = await tool_called(receive)
        else:
            called = None
        if called == "privileged" and self.scope not in getattr(user, "scopes", []):
            body = {"error": "insufficient_scope", "error_description": f"this tool needs {self.scope}"}
            refusal = JSONResponse(body, status_code=403, headers={"WWW-Authenticate": self.challenge})
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


async def tool_called(receive: Receive) -> tuple[Receive, str | None]:
    """The tool that a request calls, and what the request is received from afterwards."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        request = json.loads(body)
        return again, request["params"]["name"] if request.get("method") == "tools/call" else None
    except (ValueError, KeyError, AttributeError):
        return again, None


def identity() -> dict[str, Any]:
    token = get_access_token()
    if token is None:
        raise RuntimeError("called without a token")
    return {"sub": token.subject, "client_id": token.client_id, "scopes": token.scopes, "claims": token.claims}


def main() -> None:
    arguments = argparse.ArgumentParser(description="An MCP server behind a remote authorization server.")
    arguments.add_argument("mode", choices=("jwt", "introspection"))
    arguments.add_argument("issuer")
    arguments.add_argument("port", type=int)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--scope", metavar="SCOPES", default="user")
    arguments.add_argument("--privileged", metavar="SCOPE")
    given = arguments.parse_args()

    listener = socket.create_server((given.host, given.port))
    origin = f"http://{given.host}:{listener.getsockname()[1]}"
    server = FastMCP(
        "whoami",
        auth=RemoteAuthProvider(
            token_verifier=token_verifier(given.mode, given.issuer, f"{origin}/mcp", given.scope.split()),
            authorization_servers=[given.issuer],
            base_url=origin,
        ),
    )
    server.tool(identity, name="whoami")
    middleware = []
    if given.privileged:
        server.tool(identity, name="privileged")
        metadata_url = f"{origin}/.well-known/oauth-protected-resource/mcp"
        needed = " ".join([*given.scope.split(), given.privileged])
        middleware.append(
            Middleware(PrivilegedTool, scope=given.privileged, needed=needed, metadata_url=metadata_url)
        )

    print(f"ready {origin}/mcp", flush=True)
    uvicorn.Server(uvicorn.Config(server.http_app(middleware=middleware), log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
