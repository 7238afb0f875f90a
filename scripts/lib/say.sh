# What the scripts say, and how they give up. Everything goes to stderr: stdout carries results.
# Sourced; needs nothing.

# A step begins. The dim colour is for terminals only.
say() {
  if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
    printf '\033[1m==>\033[0m %s\n' "$*" >&2
  else
    printf '==> %s\n' "$*" >&2
  fi
}

# A remark about the step under way.
note() {
  printf '    %s\n' "$*" >&2
}

# The end: what failed first, then one line for each further argument (cause, remedy).
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do
    printf '       %s\n' "$line" >&2
  done
  exit 1
}

# True when the named commands can all be run.
have() {
  local name
  for name in "$@"; do
    command -v "$name" >/dev/null 2>&1 || return 1
  done
}
