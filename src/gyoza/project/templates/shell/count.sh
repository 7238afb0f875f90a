#!/bin/sh
# Count the characters of a text. in/input.json has the inputs, out/ takes what comes of them.
set -eu

dir=${GYOZA_DIR:-/gyoza}
trap 'exit 143' TERM

# The string "text" of the inputs, with the escapes that JSON must write undone (\u0041 stays as it
# is). With jq in the image this is: jq -j .text "$dir/in/input.json"
text() {
  mark=$(printf '\001') # stands for a backslash that was escaped itself
  sed -n 's/^[^"]*"text"[^"]*"\(\([^"\\]\|\\.\)*\)".*$/\1/p' "$dir/in/input.json" \
    | sed "s/\\\\\\\\/$mark/g" \
    | sed 's/\\"/"/g; s/\\\//\//g; s/\\t/	/g; s/\\n/\
/g' | tr '\001' '\\'
}

if [ -z "$(text)" ]; then
  # 65: these inputs will never work.
  echo '{"type": "BadInput", "message": "text is empty or missing", "retryable": false}' \
    >"$dir/out/error.json"
  exit 65
fi

printf '%s' "$(text)" >/tmp/text
echo '{"type": "progress", "msg": 50}' >>"$dir/out/events.jsonl"

bytes=$(wc -c </tmp/text)
sha256=$(sha256sum /tmp/text | cut -d ' ' -f 1)
# Outputs appear by rename, so that nobody reads half of them.
printf '{"bytes": %d, "sha256": "%s"}\n' "$bytes" "$sha256" >"$dir/out/.output.json"
mv "$dir/out/.output.json" "$dir/out/output.json"
echo "counted $bytes bytes"
