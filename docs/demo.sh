#!/usr/bin/env bash
# The main job, out loud: estimators trained by `mlflow run` and compared, promoted through a gate that refuses the worse
# one, a bad one forced in and rolled back, what is in production served and asked. `make demo` runs it; every command that
# it prints can be typed by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false
export SLIPWAY_REGISTRY__POLICY=docs/demo-policy.yaml
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

promote() {
  local status=0
  run slipway promote "$MODEL/$1" --to "$2" --reason "$3" "${@:4}" || status=$?
  case $status in
    0) ;;
    3) echo "(exit status 3: refused)" ;;
    4) echo "(exit status 4: it cannot be told)" ;;
    *) exit $status ;;
  esac
}

step "Train three estimators on 1,797 handwritten digits"
train logistic
first=$(latest)
train ridge
worse=$(latest)
train svm
better=$(latest)

step "Compare them"
run slipway versions $MODEL
run slipway compare "$MODEL/$first" "$MODEL/$better"

step "Put version $first into production, through staging"
run slipway policy show $MODEL
promote "$first" staging "the first that we have"
promote "$first" production "smoke-tested in staging"

step "Version $worse is worse: the gate refuses it, and says why"
promote "$worse" staging "a simpler model"
promote "$worse" production "nobody will notice"

step "Version $better is better: it passes"
promote "$better" staging "higher accuracy on held-out rows"
promote "$better" production "higher accuracy on held-out rows"

step "Somebody forces the bad one in (this policy allows that), and one command takes it back"
promote "$worse" staging "once more"
promote "$worse" production "a simpler model" --override "the release is due today"
run slipway rollback $MODEL --reason "wrong digits on the invoices"
run slipway status

step "The history tells the story"
run slipway history $MODEL --all
run slipway history $MODEL --verify

step "Serve what is in production"
port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
scratch=$(mktemp -d)
printf '$ %s &\n' "slipway serve $MODEL@production --port $port"
slipway serve "$MODEL@production" --port "$port" >"$scratch/serve.log" 2>&1 &
server=$!
stop_server() {
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap 'stop_server; rm -rf "$scratch"' EXIT
for _ in $(seq 240); do
  python - "$port" <<'PY' && break
import sys, urllib.request
try:
    urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/ready", timeout=2)
except OSError:
    sys.exit(1)
PY
  kill -0 "$server" 2>/dev/null || { cat "$scratch/serve.log"; echo "error: the engine stopped"; exit 1; }
  sleep 0.5
done
cat "$scratch/serve.log"

step "Ask it, with the input example that was stored with the model"
python - "$MODEL" "$scratch" <<'PY'
import sys
from mlflow.artifacts import download_artifacts
download_artifacts(artifact_uri=f"models:/{sys.argv[1]}@production/serving_input_example.json", dst_path=sys.argv[2])
PY
url="http://127.0.0.1:$port/invocations"
if command -v curl >/dev/null; then
  run curl --silent --show-error --fail --include -H 'Content-Type: application/json' --data "@$scratch/serving_input_example.json" "$url"
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
See the runs side by side and keep production answering, until Ctrl-C:
  .venv/bin/slipway up                     the UI is at http://127.0.0.1:5000
Serve it again, and promote or roll back meanwhile:
  .venv/bin/slipway serve $MODEL@production
Train on your own data:
  .venv/bin/slipway train --data /path/to/your.csv --target COLUMN --model NAME
TEXT
