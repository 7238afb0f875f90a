#!/bin/sh
# Statistics of the lines of a text: an op in shell, where busybox is all there is.
#
# It shows that protocol v1 needs no library and no Python: inputs are a JSON file, so one awk
# program takes a string out of it; progress is a line appended to a file; the outputs are a JSON
# file that appears by rename.
set -eu
export LC_ALL=C # lengths count bytes

dir=${GYOZA_DIR:-/gyoza}
out=$dir/out
trap 'exit 143' TERM

# A percentage, for whoever follows the run.
progress() {
  echo "{\"type\": \"progress\", \"msg\": $1}" >>"$out/events.jsonl"
}

# json_string NAME: the string of that name in input.json, its escapes undone. Walks the document
# as it is written, since a value may contain what looks like a name.
json_string() {
  awk -v wanted="$1" '
    { document = document $0 "\n" }
    END {
      depth = 0; key = ""; expecting_key = 0; found = 0
      for (i = 1; i <= length(document); i++) {
        c = substr(document, i, 1)
        if (c == "\"") {
          value = read_string()
          if (depth == 1 && expecting_key) { key = value; expecting_key = 0 }
          else if (depth == 1 && key == wanted) { printf "%s", value; found = 1; exit }
        }
        else if (c == "{" || c == "[") { depth++; if (depth == 1) expecting_key = 1 }
        else if (c == "}" || c == "]") depth--
        else if (c == "," && depth == 1) expecting_key = 1
      }
    }
    END { exit !found }

    # From the opening quote at i to the closing one, where i is left.
    function read_string(    text, c) {
      text = ""
      for (i++; i <= length(document); i++) {
        c = substr(document, i, 1)
        if (c == "\"") return text
        if (c == "\\") { i++; c = unescaped(substr(document, i, 1)) }
        text = text c
      }
      return text
    }

    function unescaped(c) {
      if (c == "n") return "\n"
      if (c == "t") return "\t"
      if (c == "r") return "\r"
      if (c == "b") return "\b"
      if (c == "f") return "\f"
      if (c == "u") return utf8(code_point())
      return c
    }

    # The four hexadecimal digits after the u at i; with its second half, if they are half a pair.
    function code_point(    high) {
      high = hexadecimal()
      if (high < 55296 || high > 56319) return high
      i += 2
      return 65536 + (high - 55296) * 1024 + hexadecimal() - 56320
    }

    function hexadecimal(    end, number) {
      for (end = i + 4; i < end;)
        number = number * 16 + index("0123456789abcdef", tolower(substr(document, ++i, 1))) - 1
      return number
    }

    function utf8(n) {
      if (n < 128) return sprintf("%c", n)
      if (n < 2048) return sprintf("%c", 192 + int(n / 64)) continuation(n)
      if (n < 65536) return sprintf("%c", 224 + int(n / 4096)) continuation(n / 64) continuation(n)
      return sprintf("%c", 240 + int(n / 262144)) \
        continuation(n / 4096) continuation(n / 64) continuation(n)
    }

    function continuation(n) { return sprintf("%c", 128 + int(n) % 64) }
  ' "$dir/in/input.json"
}

progress 0
text=/tmp/text
if ! json_string text >"$text"; then
  echo '{"type": "BadInput", "message": "input text is missing", "retryable": false}' \
    >"$out/error.json"
  exit 65
fi
progress 50
echo "read $(wc -c <"$text") bytes"

sha256=$(sha256sum "$text" | cut -d ' ' -f 1)
# The number of lines, empty lines and the longest line; a last line without its end counts too.
# shellcheck disable=SC2046  # three numbers, three arguments
set -- $(awk '
  { lines++; if ($0 ~ /^[ \t\r]*$/) blank++; if (length($0) > longest) longest = length($0) }
  END { print lines + 0, blank + 0, longest + 0 }
' "$text")
progress 90

cat >"$out/.output.json.part" <<JSON
{"lines": $1, "blank": $2, "longest": $3, "sha256": "$sha256"}
JSON
mv "$out/.output.json.part" "$out/output.json"
progress 100
echo "counted $1 lines"
