"""Signs in through the stand-in with the original library, unchanged.

A FastMCP server with the provider of pangea-authn-fastmcp 0.3.2 is pointed at the stand-in. FastMCP's own
client connects to it, a scripted browser fills in the stand-in's sign-in page, and a tool then asks the
official Pangea SDK who it is that called.

    python3 sign_in.py STAGE_URL CLIENT_ID CLIENT_SECRET SERVICE_TOKEN MCP_PORT

The stage (tests/it/stage) must allow the redirect URI http://127.0.0.1:MCP_PORT/pangea/callback and the scopes
"user openid".
"""

import asyncio
import sys
import warnings
from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import uvicorn
from fastmcp import Client, FastMCP
from fastmcp.client.auth import OAuth
from fastmcp.server.dependencies import get_access_token
from mcp.server.auth.settings import ClientRegistrationOptions
from pangea import PangeaConfig
from pangea.exceptions import PangeaAPIException
from pangea.services import AuthN
from pangea_authn_fastmcp import InMemoryRepository, PangeaOAuthProvider

EMAIL = "grace.hopper@example.com"
STAGE, CLIENT_ID, CLIENT_SECRET, SERVICE_TOKEN, MCP_PORT = sys.argv[1:]
MCP = f"http://127.0.0.1:{MCP_PORT}"


def check(holds: bool, what: object) -> None:
    if not holds:
        raise AssertionError(what)


def authn(token: str = SERVICE_TOKEN) -> AuthN:
    return AuthN(token, PangeaConfig(base_url_template=STAGE))


def server(token_of_client: InMemoryRepository) -> FastMCP:
    """A FastMCP server as the README of the original has it, and a tool that tells who calls."""
    provider = PangeaOAuthProvider(
        mcp_base_url=MCP,
        mcp_scopes=["tools"],
        pangea_authn_issuer_url=STAGE,
        pangea_authn_client_id=CLIENT_ID,
        pangea_authn_client_secret=CLIENT_SECRET,
        pangea_authn_scopes=["user", "openid"],
        client_to_authn_repository=token_of_client,
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["tools"]),
    )
    mcp = FastMCP("original", auth=provider)
    mcp.custom_route("/pangea/callback", methods=["GET"])(provider.callback_handler)

    @mcp.tool
    async def pangea_token() -> str:
        """The Pangea token behind this call, found as pangea-authz-fastmcp finds it."""
        token = await token_of_client.get(f"client_to_authn_{get_access_token().client_id}")
        return token.token

    return mcp


class SignInForm(HTMLParser):
    """The one form of a page, as a browser would see it."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.fields, self.buttons = {}, []
        self.page, self.target, self.method = page, str(page.url), "get"
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self.method = attributes.get("method", "get")
            self.target = urljoin(str(self.page.url), attributes.get("action", str(self.page.url)))
        elif tag == "input":
            self.fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "button":
            self.buttons.append((attributes["name"], attributes["value"]))


class ScriptedBrowser(OAuth):
    """FastMCP's OAuth client with a browser that knows what to type."""

    async def redirect_handler(self, authorization_url: str) -> None:
        # The client listens for its callback only after this returns.
        self.browsing = asyncio.create_task(self.browse(authorization_url))

    async def browse(self, url: str) -> None:
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            page = await browser.get(url)
            check(page.status_code == 200 and str(page.url).startswith(STAGE), page)
            form = SignInForm(page)
            check(form.method == "post" and list(form.fields) == ["email"], form.fields)
            answer = {"email": EMAIL} | dict(form.buttons[:1])
            response = await browser.post(form.target, data=answer, follow_redirects=False)
            while response.is_redirect:
                response = await self.follow(browser, response.headers["location"])
            check(response.status_code == 200, response.text)

    async def follow(self, browser: httpx.AsyncClient, url: str) -> httpx.Response:
        for _ in range(100):
            try:
                return await browser.get(url, follow_redirects=False)
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
        raise AssertionError(f"nobody listens at {url}")


async def call_tool() -> str:
    """Starts the server, signs in, calls the tool, stops the server."""
    app = server(InMemoryRepository()).http_app()
    uvicorn_server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", int(MCP_PORT), log_level="warning"))
    serving = asyncio.create_task(uvicorn_server.serve())
    while not uvicorn_server.started:
        check(not serving.done(), "the MCP server did not start")
        await asyncio.sleep(0.05)
    try:
        browser = ScriptedBrowser(scopes=["tools"], callback_timeout=20)
        async with Client(f"{MCP}/mcp", auth=browser) as client:
            answer = (await client.call_tool("pangea_token")).data
        await browser.browsing
        return answer
    finally:
        uvicorn_server.should_exit = True
        await serving


def check_with_official_sdk(token: str) -> None:
    """What the official SDK learns from a token; it refuses whatever its models do not know."""
    info = authn().client.token_endpoints.check(token).result
    check(info.email == EMAIL and info.client_id == CLIENT_ID, info)
    check(info.scopes == ["user", "openid"] and info.profile == {"first_name": "Grace", "last_name": "Hopper"}, info)

    user = authn().user.profile.get(id=info.identity).result
    check(user.id == info.identity and user.email == EMAIL and not user.disabled, user)
    check(authn().user.profile.get(email=EMAIL).result == user, "the same person by email")

    groups = authn().user.group.list(info.identity).result
    check([group.name for group in groups.groups] == ["staff"] and groups.count == 1, groups)

    check_refused(lambda: authn().client.token_endpoints.check("ptu_" + "a" * 32))
    check_refused(lambda: authn("pts_wrong").user.profile.get(email=EMAIL))


def check_refused(call: Callable[[], object]) -> None:
    try:
        call()
    except PangeaAPIException:
        return
    raise AssertionError("the SDK should have raised")


def main() -> None:
    warnings.simplefilter("ignore")
    httpx.post(f"{STAGE}/__stand-in/switches", json={"groups": {EMAIL: ["staff"]}}).raise_for_status()
    check_with_official_sdk(asyncio.run(call_tool()))
    print("signed in with the original library")


main()
