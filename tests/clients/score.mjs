// Scores as a user of Node's fetch does, with its default settings, and writes what came as lines of JSON.

import { readFileSync } from "node:fs";

const [address, name, files] = process.argv.slice(2);
for (const file of files.split(",")) {
  const response = await fetch(`${address}/models/${encodeURIComponent(name)}/invocations`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: readFileSync(file),
  });
  console.log(JSON.stringify({ status: response.status, body: await response.json() }));
}
