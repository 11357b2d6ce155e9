"""Load on a scoring server: wrk for closed loops, whose summary is read as JSON."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local file = io.open(os.getenv("WRK_BODY"), "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = os.getenv("WRK_TYPE")
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"p50_s":%f,"p99_s":%f,"errors":%d}\\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What came of a closed loop: good answers a second, how many failed, and quantiles in seconds."""

    rate: float
    failed: int
    p50_s: float
    p99_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is sent: a body and its media type."""

    body: bytes
    media_type: str = "application/json"


def closed_loop(url: str, request: Request, *, connections: int, seconds: float) -> Load:
    """Ask as fast as the answers come, on some connections."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed (Debian: apt-get install wrk): the serving benchmark needs it")
    with tempfile.TemporaryDirectory() as name:
        script, body = Path(name) / "post.lua", Path(name) / "body"
        script.write_text(SCRIPT)
        body.write_bytes(request.body)
        words = [wrk, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script), url]
        environment = {**os.environ, "WRK_BODY": str(body), "WRK_TYPE": request.media_type}
        said = subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout
    found = json.loads(said.strip().splitlines()[-1])
    rate = (found["requests"] - found["errors"]) / found["seconds"]
    return Load(rate=rate, failed=found["errors"], p50_s=found["p50_s"], p99_s=found["p99_s"])
