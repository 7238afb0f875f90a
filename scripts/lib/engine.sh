# The Docker Engine: uses the one that answers; else, as root on Debian or Ubuntu, installs and
# starts one. Sourced after say.sh and processes.sh.

ensure_engine() {
  ensure_docker_command
  if engine_answers; then
    return
  fi
  start_engine
  wait_for_engine
}

engine_answers() {
  timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

ensure_docker_command() {
  have docker || install_packages docker.io iptables \
    || fail "Docker is not installed" "$(engine_remedy)"
  # A docker command since 23 wants its buildx plug-in; without it, the classic builder is chosen.
  if [[ -z ${DOCKER_BUILDKIT:-} ]] && ! docker buildx version >/dev/null 2>&1; then
    export DOCKER_BUILDKIT=0
  fi
}

start_engine() {
  if [[ -n ${DOCKER_HOST:-} ]]; then
    fail "no Docker Engine answers at DOCKER_HOST=$DOCKER_HOST" "start it, or unset DOCKER_HOST"
  fi
  ((EUID == 0)) || fail "no Docker Engine answers, or you may not talk to it" "$(engine_remedy)"
  have dockerd iptables || install_packages docker.io iptables \
    || fail "no Docker Engine is installed" "$(engine_remedy)"
  if [[ -d /run/systemd/system ]]; then
    systemctl start docker || fail "systemd could not start docker" "see: journalctl -u docker"
  elif ! engine_answers; then
    say "Starting the Docker Engine (output in $RUN/dockerd.log)"
    # Left behind by an engine that was killed, its pid file stops the next one.
    remove_stale_pid_file
    start_process dockerd dockerd
  fi
}

wait_for_engine() {
  local waited=0
  until engine_answers; do
    if ((waited >= 60)) || { [[ -e $RUN/dockerd.pid ]] && ! pid_of dockerd >/dev/null; }; then
      tail_of dockerd
      fail "the Docker Engine did not answer within $waited s" "its output: $RUN/dockerd.log"
    fi
    sleep 1
    waited=$((waited + 1))
  done
}

# A program that serves images, for the tests of registries: they start their own on free ports.
ensure_registry() {
  have docker-registry || have registry || install_packages docker-registry \
    || note "no image registry is installed: its tests will be skipped (Debian: docker-registry)"
}

# Stops the engine only if this checkout's scripts started it.
stop_engine() {
  stop_process dockerd 30
}

remove_stale_pid_file() {
  local pid
  [[ -r /var/run/docker.pid ]] || return 0
  pid=$(cat /var/run/docker.pid)
  if ! ps -o args= -p "$pid" 2>/dev/null | grep -q dockerd; then
    rm -f /var/run/docker.pid
  fi
}

# install_packages NAME...: as root with apt only; anybody else is told what to install.
install_packages() {
  ((EUID == 0)) && have apt-get || return 1
  say "Installing $* with apt"
  mkdir -p "$RUN"
  {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" \
      || { apt-get update && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@"; }
  } >"$RUN/apt.log" 2>&1 </dev/null || {
    tail_of apt
    return 1
  }
  hash -r
}

engine_remedy() {
  printf '%s' "install Docker Engine (Debian: apt-get install docker.io iptables; others:" \
    " https://docs.docker.com/engine/install/), start it, and add yourself to the group docker"
}
