# Python and its packages: finds or fetches uv, then brings .venv to the state of uv.lock.
# Sourced after say.sh; sets UV (the command, as an array) and puts .venv/bin on PATH.

UV=()

# The environment of this checkout, exactly as locked. A second call costs a fraction of a second.
ensure_environment() {
  find_uv || fetch_uv
  "${UV[@]}" sync --project "$ROOT" --locked --quiet </dev/null \
    || fail "the Python environment could not be made" \
      "uv's own words are above; 'uv lock' helps when pyproject.toml has changed"
  # An active environment of somebody else must not win over this checkout's own.
  unset VIRTUAL_ENV
  # Tests of the templates call uv by its name.
  have uv || PATH="$(dirname "$(uv_program)"):$PATH"
  export PATH="$ROOT/.venv/bin:$PATH"
}

uv_program() {
  if [[ ${UV[0]} == python3 ]]; then
    python3 -c 'import uv; print(uv.find_uv_bin())'
  else
    printf '%s' "${UV[0]}"
  fi
}

find_uv() {
  local private
  private="$(cache_folder)/uv/bin/uv"
  if have uv && uv --version >/dev/null 2>&1; then
    UV=(uv)
  elif have python3 && python3 -m uv --version >/dev/null 2>&1; then
    UV=(python3 -m uv)
  elif [[ -x $private ]]; then
    UV=("$private")
  else
    return 1
  fi
}

# A private environment keeps uv out of a system Python, which Debian would refuse anyway.
fetch_uv() {
  local folder
  folder="$(cache_folder)/uv"
  have python3 || fail "there is neither uv nor python3 here" \
    "install Python 3.11 or newer, or uv itself: https://docs.astral.sh/uv/"
  say "Fetching uv into $folder"
  mkdir -p "$folder"
  if python3 -m venv "$folder" >/dev/null 2>&1; then
    "$folder/bin/python" -m pip install --quiet uv </dev/null || fail_without_uv
    UV=("$folder/bin/uv")
  else
    # Debian without python3-venv.
    python3 -m pip install --quiet --user uv </dev/null || fail_without_uv
    UV=(python3 -m uv)
  fi
}

fail_without_uv() {
  fail "uv could not be installed from PyPI" \
    "pip's own words are above; with uv on PATH this step is skipped"
}

# Where downloads and built base images outlive this checkout.
cache_folder() {
  printf '%s/gyoza' "${XDG_CACHE_HOME:-$HOME/.cache}"
}
