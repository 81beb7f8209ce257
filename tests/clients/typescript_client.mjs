#!/usr/bin/env node
// The OAuth client of the official TypeScript SDK, signing in with the scripted browser.
//
//     typescript_client.mjs MODULES PYTHON MCP_URL [SCOPE]
//
// MODULES is the folder with `@modelcontextprotocol/client`, PYTHON runs browser.py. Asks for SCOPE if it is
// given. Calls `whoami` and prints one JSON object with the members `asked` (parameters of the authorization
// request), `registered`, `tokens` (names and scope alone) and `call`; exits with 0 if all of that went well.

import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const [modules, python, url, scope] = process.argv.slice(2);
const sdk = join(modules, "@modelcontextprotocol", "client", "dist", "index.mjs");
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = await import(pathToFileURL(sdk));
const browser = join(dirname(fileURLToPath(import.meta.url)), "browser.py");

let asked, answer, registered, tokens, verifier;
const provider = {
    redirectUrl: "http://127.0.0.1:33418/callback",
    clientMetadata: {
        client_name: "TypeScript client",
        redirect_uris: ["http://127.0.0.1:33418/callback"],
        token_endpoint_auth_method: "none",
        ...(scope ? { scope } : {}),
    },
    state: () => "typescript-state",
    clientInformation: () => registered,
    saveClientInformation: (information) => (registered = information),
    tokens: () => tokens,
    saveTokens: (saved) => (tokens = saved),
    codeVerifier: () => verifier,
    saveCodeVerifier: (saved) => (verifier = saved),
    async redirectToAuthorization(authorizationUrl) {
        asked = Object.fromEntries(authorizationUrl.searchParams);
        const { stdout } = await promisify(execFile)(python, [browser, authorizationUrl.href]);
        answer = new URL(stdout.trim()).searchParams;
    },
};

const connect = async (transport) => {
    const client = new Client({ name: "typescript-client", version: "1" });
    await client.connect(transport);
    return client;
};

let transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
let client;
try {
    client = await connect(transport);
} catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    if (answer.get("state") !== "typescript-state") throw new Error("another state came back");
    await transport.finishAuth(answer);
    transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
    client = await connect(transport);
}
const result = await client.callTool({ name: "whoami", arguments: {} });
if (result.isError) throw new Error(JSON.stringify(result));
const { access_token, refresh_token, ...shown } = tokens;
console.log(
    JSON.stringify({
        asked,
        registered: { ...registered, client_secret: undefined },
        tokens: { ...shown, members: Object.keys(tokens), refreshes: Boolean(access_token && refresh_token) },
        call: result.structuredContent,
    }),
);
await client.close();
process.exit(0);
