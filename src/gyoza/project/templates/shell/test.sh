#!/bin/sh
# Runs the op as a worker would, without a container: two folders, and a look at the outputs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
GYOZA_DIR=$(mktemp -d)
export GYOZA_DIR
trap 'rm -rf "$GYOZA_DIR"' EXIT
mkdir "$GYOZA_DIR/in" "$GYOZA_DIR/out"

printf '%s\n' '{"text": "grüße,\n\"you\""}' >"$GYOZA_DIR/in/input.json"
sh "$here/count.sh"
grep -q '"bytes": 14,' "$GYOZA_DIR/out/output.json"

echo '{"text": ""}' >"$GYOZA_DIR/in/input.json"
code=0
sh "$here/count.sh" || code=$?
[ "$code" = 65 ]
grep -q BadInput "$GYOZA_DIR/out/error.json"
echo "2 passed"
