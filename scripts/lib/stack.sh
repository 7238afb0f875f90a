# A whole gyoza on this machine for trying things out, and the example ops on it.
# Sourced after the other parts; all it writes is under .run/quickstart.

STACK="$RUN/quickstart"

# `gyoza dev` in the background, with data, state and endpoint file of its own, so that no other
# gyoza of this user is touched. Sets GYOZA_SERVER_URL.
start_stack() {
  export XDG_STATE_HOME="$STACK/state" GYOZA_SERVER_URL=
  if [[ -n ${DOCKER_HOST:-} ]]; then
    export GYOZA_DOCKER_HOST="${GYOZA_DOCKER_HOST:-$DOCKER_HOST}"
  fi
  mkdir -p "$STACK/data" "$XDG_STATE_HOME"
  if ! pid_of gyoza-dev >/dev/null; then
    say "Starting gyoza dev (data in $STACK/data, output in $RUN/gyoza-dev.log)"
    rm -f "$(endpoint_file)"
    start_process gyoza-dev env -u GYOZA_SERVER_URL -u GYOZA_API_KEY -u GYOZA_WORKER_KEY \
      gyoza dev --data-dir "$STACK/data" --port "${GYOZA_QUICKSTART_PORT:-5555}"
  fi
  wait_for_stack
}

wait_for_stack() {
  local waited=0
  until GYOZA_SERVER_URL=$(server_url) && server_is_ready; do
    if ((waited >= 300)) || ! pid_of gyoza-dev >/dev/null; then
      tail_of gyoza-dev
      stop_process gyoza-dev
      fail "gyoza dev did not become ready" "its output: $RUN/gyoza-dev.log"
    fi
    sleep 0.2
    waited=$((waited + 1))
  done
  export GYOZA_SERVER_URL
  note "ready at $GYOZA_SERVER_URL"
}

endpoint_file() {
  printf '%s' "$XDG_STATE_HOME/gyoza/endpoint.json"
}

server_url() {
  [[ -s $(endpoint_file) ]] || return 1
  python -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$(endpoint_file)" \
    2>/dev/null
}

server_is_ready() {
  python - "$GYOZA_SERVER_URL/readyz" >/dev/null 2>&1 <<'PYTHON'
import sys
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(sys.argv[1], timeout=5)
PYTHON
}

# build_example FOLDER BASE: the image that the folder's gyoza.yml names.
build_example() {
  local image
  image=$(sed -n 's/^image: *//p' "$ROOT/examples/$1/gyoza.yml")
  say "Building $image"
  # With engine and base images in place already, nothing before this has made the folder.
  mkdir -p "$RUN"
  docker build --quiet --build-arg "BASE=$2" --tag "$image" "$ROOT/examples/$1" \
    >"$RUN/build-$1.log" 2>&1 </dev/null || {
    tail_of "build-$1"
    fail "the image of examples/$1 could not be built" "see $RUN/build-$1.log"
  }
}

# build_project FOLDER BASE: as build_example, for a project that `gyoza build` makes an image of.
build_project() {
  local image
  image=$(sed -n 's/^image: *//p' "$ROOT/examples/$1/gyoza.yml")
  say "Building $image (gyoza build; the first time it fetches packages)"
  mkdir -p "$RUN"
  gyoza build "$ROOT/examples/$1" --base "$2" --tag "$image" \
    >"$RUN/build-$1.log" 2>&1 </dev/null || {
    tail_of "build-$1"
    fail "the image of examples/$1 could not be built" "see $RUN/build-$1.log"
  }
}

# run_example FOLDER ARGUMENTS...: deploys and runs the op, shows the run, compares its outputs.
run_example() {
  local folder=$1 op image document="$STACK/$1.json"
  shift
  image=$(sed -n 's/^image: *//p' "$ROOT/examples/$folder/gyoza.yml")
  op=$(sed -n 's/^id: *//p' "$ROOT/examples/$folder/gyoza.yml")
  say "Deploying and running $op"
  # As it was built above, on whichever base: deploying is not to build it again.
  gyoza deploy "$ROOT/examples/$folder" --image "$image" || fail "examples/$folder could not be deployed"
  gyoza run "$op" "$@" </dev/null \
    || fail "the run of $op did not complete (exit code $?)" "the server's output: $RUN/gyoza-dev.log"
  gyoza show @last
  gyoza show @last --json >"$document"
  python "$ROOT/scripts/lib/compare_outputs.py" "$document" "$ROOT/examples/$folder/expected" \
    || fail "the outputs of $op are not those in examples/$folder/expected"
}

# save_file FOLDER OUTPUT PATH: a file that the last run of an example returned, as a file here.
save_file() {
  python "$ROOT/scripts/lib/save_file.py" "$STACK/$1.json" "$2" "$3" \
    || fail "the file $2 of examples/$1 could not be fetched"
  note "$2 is in $3"
}
