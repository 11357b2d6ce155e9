#!/usr/bin/env bash
# The main job, out loud: two estimators trained by `mlflow run`, compared, the better one promoted,
# served and asked. `make demo` runs it; every command it prints can be typed by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false
MODEL=digits

step() { printf '\n== %s\n' "$*"; }
show() {
  local word line='$'
  for word; do
    case $word in *[!A-Za-z0-9_./:@=,-]*) line+=" '$word'" ;; *) line+=" $word" ;; esac
  done
  printf '%s\n' "$line"
}
run() { show "$@"; "$@"; }
latest() { slipway versions $MODEL --json | python -c 'import json, sys; print(json.load(sys.stdin)["versions"][0]["version"])'; }
train() { run mlflow run . --env-manager local -P data=sklearn:digits -P target=target -P model=$MODEL -P estimator="$1"; }

step "Train two estimators on 1,797 handwritten digits"
train ridge
first=$(latest)
train random_forest
second=$(latest)

step "Compare them"
run slipway versions $MODEL
run slipway compare "$MODEL/$first" "$MODEL/$second"
better=$(slipway compare "$MODEL/$first" "$MODEL/$second" --json | python -c '
import json, sys
accuracy = next(m for m in json.load(sys.stdin)["metrics"] if m["name"] == "holdout_accuracy")
print(sys.argv[1] if accuracy["better"] == "a" else sys.argv[2])' "$first" "$second")

step "Promote the better one: version $better"
run slipway promote "$MODEL/$better" --to staging --reason "higher accuracy on held-out rows"
run slipway promote "$MODEL/$better" --to production --reason "smoke-tested in staging"

step "Serve what is in production"
port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
scratch=$(mktemp -d)
printf '$ %s &\n' "mlflow models serve -m models:/$MODEL@production --env-manager local --port $port"
set -m # the server becomes the leader of a process group, which can be stopped whole
mlflow models serve -m "models:/$MODEL@production" --env-manager local --port "$port" >"$scratch/serve.log" 2>&1 &
server=$!
set +m
stop_server() {
  kill -TERM -- "-$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap 'stop_server; rm -rf "$scratch"' EXIT
for _ in $(seq 240); do
  python - "$port" <<'PY' && break
import sys, urllib.request
try:
    urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/ping", timeout=2)
except OSError:
    sys.exit(1)
PY
  kill -0 "$server" 2>/dev/null || { cat "$scratch/serve.log"; echo "error: the scoring server stopped"; exit 1; }
  sleep 0.5
done

step "Ask it, with the input example that was stored with the model"
python - "$MODEL" "$scratch" <<'PY'
import sys
from mlflow.artifacts import download_artifacts
download_artifacts(artifact_uri=f"models:/{sys.argv[1]}@production/serving_input_example.json", dst_path=sys.argv[2])
PY
url="http://127.0.0.1:$port/invocations"
if command -v curl >/dev/null; then
  run curl --silent --show-error --fail -H 'Content-Type: application/json' --data "@$scratch/serving_input_example.json" "$url"
else
  echo "(curl is not installed: asking with Python)"
  python - "$url" "$scratch/serving_input_example.json" <<'PY'
import sys, urllib.request
body = open(sys.argv[2], "rb").read()
request = urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=30).read().decode())
PY
fi
echo
stop_server

step "Done. What next?"
cat <<TEXT
See both runs side by side and keep production answering, until Ctrl-C:
  .venv/bin/slipway up                     the UI is at http://127.0.0.1:5000
Train on your own data:
  .venv/bin/slipway train --data /path/to/your.csv --target COLUMN --model NAME
TEXT
