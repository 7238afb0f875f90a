# Background processes that the scripts start: each has a pid file and an output file under .run/,
# so that a later call can find it, and stop it only if it is still the same process.
# Sourced after say.sh.

# start_process NAME COMMAND...: runs in a session of its own, output to .run/NAME.log.
start_process() {
  local name=$1
  shift
  mkdir -p "$RUN"
  setsid "$@" >"$RUN/$name.log" 2>&1 </dev/null &
  printf '%s %s\n' "$!" "$(started_at "$!")" >"$RUN/$name.pid"
}

# The pid of NAME, if the process that this checkout started under that name still lives.
pid_of() {
  local pid began
  [[ -r $RUN/$1.pid ]] || return 1
  read -r pid began <"$RUN/$1.pid" || return 1
  [[ -n $pid && "$(started_at "$pid")" == "$began" ]] || return 1
  printf '%s' "$pid"
}

# When a process began: a pid used again by another process has another answer.
started_at() {
  ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' || true
}

# stop_process NAME [SECONDS]: nothing if it does not run; else SIGTERM, then SIGKILL after the given time (default 15 s).
stop_process() {
  local name=$1 limit=${2:-15} pid waited=0
  if pid=$(pid_of "$name"); then
    kill -TERM "$pid" 2>/dev/null || true
    while pid_of "$name" >/dev/null && ((waited < limit * 10)); do
      sleep 0.1
      waited=$((waited + 1))
    done
    if pid_of "$name" >/dev/null; then
      note "$name (pid $pid) ignored SIGTERM for $limit s: killing its process group"
      kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
    fi
  fi
  rm -f "$RUN/$name.pid"
}

# The last lines of NAME's output, for an error.
tail_of() {
  tail -n "${2:-15}" "$RUN/$1.log" 2>/dev/null | sed 's/^/    | /' >&2 || true
}
