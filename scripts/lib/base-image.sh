# The images that the examples are built on: an ordinary public one when it can be had, else one
# made here. Sourced after say.sh, env.sh and engine.sh; sets PYTHON_BASE and SHELL_BASE.

PUBLIC_PYTHON=python:3.12-slim
LOCAL_PYTHON=gyoza-local/python:bookworm
PUBLIC_SHELL=busybox:stable
LOCAL_SHELL=gyoza-local/busybox:static

# Which generation of LOCAL_PYTHON these scripts make; one of an older kind is made anew.
PYTHON_KIND=2

ensure_base_images() {
  PYTHON_BASE=$(first_present "$PUBLIC_PYTHON") || PYTHON_BASE=$(current_local_python) \
    || PYTHON_BASE=$(pull "$PUBLIC_PYTHON") || PYTHON_BASE=$(make_python_base)
  SHELL_BASE=$(first_present "$PUBLIC_SHELL" "$LOCAL_SHELL") \
    || SHELL_BASE=$(pull "$PUBLIC_SHELL") || SHELL_BASE=$(make_shell_base)
}

first_present() {
  local image
  for image in "$@"; do
    if docker image inspect "$image" >/dev/null 2>&1; then
      printf '%s' "$image"
      return
    fi
  done
  return 1
}

current_local_python() {
  local kind
  kind=$(docker image inspect --format '{{index .Config.Labels "org.gyoza.base"}}' \
    "$LOCAL_PYTHON" 2>/dev/null) || return 1
  [[ $kind == "$PYTHON_KIND" ]] || return 1
  printf '%s' "$LOCAL_PYTHON"
}

# Nothing from the registry within 15 s: it cannot be reached. Once it talks, it may take its time.
pull() {
  local output client waited=0
  mkdir -p "$RUN"
  output="$RUN/pull.log"
  docker pull "$1" >"$output" 2>&1 </dev/null &
  client=$!
  while ((waited < 150)) && kill -0 "$client" 2>/dev/null; do
    if grep -q 'Pulling from' "$output"; then
      say "Pulling $1"
      break
    fi
    sleep 0.1
    waited=$((waited + 1))
  done
  ((waited < 150)) || kill "$client" 2>/dev/null || true
  wait "$client" || return 1
  printf '%s' "$1"
}

make_python_base() {
  local archive
  archive="$(cache_folder)/python-bookworm-$PYTHON_KIND-$(uname -m).tar"
  [[ -f $archive ]] || bootstrap_python "$archive"
  say "Importing $LOCAL_PYTHON"
  docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' \
    --change "LABEL org.gyoza.base=$PYTHON_KIND" \
    "$archive" "$LOCAL_PYTHON" >/dev/null || exit 1
  printf '%s' "$LOCAL_PYTHON"
}

# Debian's own Python on a small Debian that does what the public image does: with apt, for
# build.system, and the C++ library that wheels such as NumPy's load. It trusts whom this machine
# trusts, since builds fetch packages and may have to pass an organisation's proxy. About 150 MB,
# half a minute.
bootstrap_python() {
  local certificates=/etc/ssl/certs/ca-certificates.crt trusted=()
  have mmdebstrap || install_packages mmdebstrap debian-archive-keyring \
    || fail "no registry can be reached, and mmdebstrap is not installed" \
      "either 'docker pull $PUBLIC_PYTHON', or on Debian: apt-get install mmdebstrap"
  say "No registry can be reached: making a Python base image with mmdebstrap"
  mkdir -p "$RUN" "$(dirname "$1")"
  if [[ -f $certificates ]]; then
    trusted=(--customize-hook="upload $certificates $certificates")
  fi
  mmdebstrap --quiet --format=tar --variant=apt \
    --include=python3-minimal,libpython3-stdlib,ca-certificates,libstdc++6 \
    "${trusted[@]}" \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    bookworm "$1.part" >"$RUN/mmdebstrap.log" 2>&1 </dev/null || {
    tail_of mmdebstrap
    fail "the Python base image could not be made" "see $RUN/mmdebstrap.log"
  }
  mv "$1.part" "$1"
}

# A static busybox and nothing else: a tar of one program and its names.
make_shell_base() {
  local program folder
  program=$(static_busybox) || fail "no registry can be reached, and there is no static busybox" \
    "either 'docker pull $PUBLIC_SHELL', or on Debian: apt-get install busybox-static"
  say "No registry can be reached: making $LOCAL_SHELL from $program"
  folder=$(mktemp -d)
  mkdir -p "$folder/bin" "$folder/tmp"
  chmod 1777 "$folder/tmp"
  cp "$program" "$folder/bin/busybox"
  "$program" --list | while read -r name; do
    [[ $name == busybox ]] || ln -s busybox "$folder/bin/$name"
  done
  tar -C "$folder" -c . \
    | docker import --change 'CMD ["sh"]' - "$LOCAL_SHELL" >/dev/null || exit 1
  rm -rf "$folder"
  printf '%s' "$LOCAL_SHELL"
}

static_busybox() {
  is_static_busybox || install_packages busybox-static >&2 || return 1
  is_static_busybox || return 1
  command -v busybox
}

is_static_busybox() {
  have busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1
}
