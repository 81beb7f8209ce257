#!/usr/bin/env bash
# Runs the authorization-server scenarios of the official MCP conformance suite, signing in with the
# scripted browser, and makes sure that the code grant was really run.
#
#   conformance.sh ISSUER CLIENT_ID [options of `conformance authorization`, such as
#                  --resource URL, --port PORT, --spec-version VERSION, -o DIRECTORY]
#
# CLIENT_ID is a public client that may use http://127.0.0.1:3000/callback, on any port with --port.
# EMAIL and DECISION in the environment say who signs in and how they decide.
# Exit code: 0 both scenarios passed, 1 one failed or was skipped, 2 wrong usage.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: conformance.sh ISSUER CLIENT_ID [options]" >&2
    exit 2
fi
issuer=$1 client_id=$2
shift 2

clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${PANGEA_TEST_CONFORMANCE:-}" ]; then
    # shellcheck source=/dev/null
    . "$clients/../.cache/env"
fi

work=$(mktemp -d)
suite=
cleanup() {
    [ -z "$suite" ] || kill "$suite" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

"$PANGEA_TEST_NODE" "$PANGEA_TEST_CONFORMANCE" authorization --url "$issuer" --client-id "$client_id" "$@" \
    >"$work/out" 2>&1 &
suite=$!

# The suite prints the authorization URL on a line of its own and then waits for the answer.
until grep -q '^Waiting up to' "$work/out" || ! kill -0 "$suite" 2>/dev/null; do
    sleep 0.05
done
authorization_url=$(grep -m1 -E '^https?://[^ ]+[?&]response_type=code' "$work/out" || true)

signed_in=0
if [ -n "$authorization_url" ]; then
    "$PANGEA_TEST_PYTHON" "$clients/browser.py" "$authorization_url" --visit \
        --decision "${DECISION:-approve}" ${EMAIL:+--email "$EMAIL"} >/dev/null || signed_in=$?
    # Without its answer the suite would wait five minutes.
    [ "$signed_in" = 0 ] || kill "$suite"
fi

status=0
wait "$suite" || status=$?
suite=
cat "$work/out"
if [ "$status" != 0 ]; then
    echo "conformance: the suite failed" >&2
    exit 1
fi
if ! grep -qF '✓ authorization-code-grant: 1 passed, 0 failed' "$work/out"; then
    echo "conformance: the code grant did not run" >&2
    exit 1
fi
