"""Programs for Node.js to watch: a server that leaks or has a bounded cache, with its load."""

from __future__ import annotations

import shutil

import pytest

NODE = shutil.which("node") or ""
needs_node = pytest.mark.skipif(not NODE, reason="there is no Node.js in the path")

# It sends itself up to 60 requests a second, at a steady pace. Each keeps 10 KB.
SERVER = """
const http = require("http");
const [bound, seconds] = process.argv.slice(2).map(Number);
const kept = [];
const server = http.createServer((request, response) => {
  kept.push({ url: request.url, body: new Array(1280).fill(0.5) });
  if (bound && kept.length > bound) kept.shift();
  response.end();
});
server.listen(0, "127.0.0.1", () => {
  const agent = new http.Agent({ keepAlive: true });
  const target = { port: server.address().port, host: "127.0.0.1", agent };
  let count = 0;
  const step = () => {
    if (++count > seconds * 60) {
      console.log(kept.length);  // what was kept is used to the end
      return process.exit();
    }
    http.get(target, (response) => response.resume().on("end", () => setTimeout(step, 15)));
  };
  process.emit("memguard:stage", "load");
  step();
});
"""

STAGES = """
const kept = [];
const report = (name) => process.emit("memguard:stage", name);
report("buffers");
kept.push(Buffer.alloc(20 << 20, 1));
report("objects");
kept.push(Array.from({ length: 200000 }, (_, n) => ({ n })));
report();
for (let n = 1; n <= 50; n++) {
  kept.push(new Array(1280).fill(n + 0.5));
  process.emit("memguard:iteration", n, 50);
}
console.log(kept.length);
process.exitCode = 3;
"""
