"use strict";
// Reports the memory of a Node.js program to `memguard watch --node`, which loads this file
// through NODE_OPTIONS. It writes lines of JSON to a named pipe, keeps no program from ending,
// and gives up in silence if the watch has ended.

const fs = require("fs");
const path = require("path");
const { performance } = require("perf_hooks");

const GC_SHARE = 0.1; // of the time, that forced collections may take
const MOST_READINGS = 20; // of iterations whose total is not announced
const TENTHS = 10;
const MOST_COLLECTIONS_MS = 1000; // for so long collections are noted before they are read
const MOST_NAME = 200; // characters of a stage: a line has to fit into the pipe at once

function threadNumber() {
  try {
    return require("worker_threads").threadId;
  } catch {
    return 0;
  }
}

class Reporter {
  constructor(folder, interval) {
    this.folder = folder;
    this.interval = interval;
    this.thread = threadNumber();
    this.kept = null;
    this.collectDue = 0;
    this.iterations = 0;
    this.stride = 1;
    this.readings = 0;
    const flags = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK;
    this.pipe = fs.openSync(path.join(folder, "reports"), flags);
    const { dev, ino } = fs.fstatSync(this.pipe);
    this.identity = [dev, ino];
  }

  start() {
    process.on("memguard:stage", (name) => this.quietly(() => this.stage(name)));
    process.on("memguard:iteration", (count, of) =>
      this.quietly(() => this.iteration(count, of)),
    );
    if (typeof globalThis.gc !== "function") {
      this.observeCollections();
    }
    this.quietly(() => this.report("reading"));
    this.timer = setInterval(() => this.quietly(() => this.tick()), this.interval);
    this.timer.unref();
    if (this.profiler && this.interval > MOST_COLLECTIONS_MS) {
      const read = () => this.quietly(() => this.readCollections());
      this.profilerTimer = setInterval(read, MOST_COLLECTIONS_MS);
      this.profilerTimer.unref();
    }
  }

  // A watch must never change what a program does.
  quietly(action) {
    if (this.pipe < 0) return;
    try {
      action();
    } catch (error) {
      if (error && error.code === "EAGAIN") return; // the watch is behind
      this.stop();
    }
  }

  stop() {
    clearInterval(this.timer);
    clearInterval(this.profilerTimer);
    if (this.profiler) this.profiler.stop();
    this.profiler = null;
    if (this.observer) this.observer.disconnect();
    if (this.pipe >= 0 && this.isOurs()) fs.closeSync(this.pipe);
    this.pipe = -1;
  }

  // The program may have closed all descriptors, and opened its own since.
  isOurs() {
    try {
      const { dev, ino } = fs.fstatSync(this.pipe);
      return dev === this.identity[0] && ino === this.identity[1];
    } catch {
      return false;
    }
  }

  // What a full collection has left: V8 says so itself since Node.js 18.15; before that,
  // a reading soon afterwards has to do.
  observeCollections() {
    const { GCProfiler } = require("v8");
    if (GCProfiler) {
      this.profiler = new GCProfiler();
      this.profiler.start();
      return;
    }
    const { PerformanceObserver, constants } = require("perf_hooks");
    const major = constants.NODE_PERFORMANCE_GC_MAJOR;
    this.observer = new PerformanceObserver((list) => {
      if (list.getEntries().some((entry) => (entry.detail || entry).kind === major)) {
        this.keep(process.memoryUsage());
      }
    });
    this.observer.observe({ entryTypes: ["gc"] });
  }

  readCollections() {
    if (!this.profiler) return;
    const { statistics } = this.profiler.stop();
    this.profiler.start();
    const full = statistics.filter((one) => one.gcType === "MarkSweepCompact").pop();
    if (full) {
      const { usedHeapSize, externalMemory } = full.afterGC.heapStatistics;
      this.keep({ heapUsed: usedHeapSize, external: externalMemory });
    }
  }

  keep(memory) {
    this.kept = { heapUsed: memory.heapUsed, external: memory.external };
  }

  memory(always) {
    const start = performance.now();
    const collects = typeof globalThis.gc === "function";
    if (collects && (always || start >= this.collectDue)) {
      globalThis.gc();
      const end = performance.now();
      this.collectDue = end + (end - start) * (1 / GC_SHARE - 1);
      const memory = process.memoryUsage();
      this.keep(memory);
      return memory;
    }
    this.readCollections();
    return process.memoryUsage();
  }

  report(kind, more, always) {
    const { rss, heapTotal, heapUsed, external, arrayBuffers } = this.memory(always);
    const memory = { rss, heapTotal, heapUsed, external, arrayBuffers };
    this.write({ kind, memory, kept: this.kept, ...more });
  }

  write(content) {
    if (!this.isOurs()) {
      this.pipe = -1;
      throw new Error("the pipe is closed");
    }
    const at = Number(process.hrtime.bigint()) / 1e9;
    const line = JSON.stringify({ pid: process.pid, thread: this.thread, at, ...content });
    fs.writeSync(this.pipe, `${line}\n`);
  }

  tick() {
    this.report("reading");
    const name = path.join(this.folder, `snapshot-${process.pid}-${this.thread}`);
    if (fs.existsSync(name)) {
      const wanted = JSON.parse(fs.readFileSync(name, "utf8"));
      fs.unlinkSync(name);
      if (wanted.atExit) this.snapshotAtExit(wanted.atExit);
      this.snapshot(wanted.now);
    }
  }

  snapshot(file) {
    this.taken = file;
    require("v8").writeHeapSnapshot(file);
    this.write({ kind: "snapshot", file });
  }

  snapshotAtExit(file) {
    const take = () => {
      if (this.taken !== file) this.quietly(() => this.snapshot(file));
    };
    process.on("exit", take);
    for (const signal of ["SIGINT", "SIGTERM"]) {
      const beforeTheEnd = () => {
        if (process.listenerCount(signal) > 1) return; // the program decides what happens
        take();
        process.removeListener(signal, beforeTheEnd);
        process.kill(process.pid, signal);
      };
      process.on(signal, beforeTheEnd);
    }
  }

  stage(name) {
    const text = name === undefined || name === null ? "" : String(name).slice(0, MOST_NAME);
    this.report("stage", { name: text }, true);
  }

  // A reading after each tenth of all iterations; after ever more of them if the program has
  // not said how many there are.
  iteration(count, of) {
    const before = this.iterations;
    this.iterations = Number.isSafeInteger(count) ? count : before + 1;
    if (this.iterations < before) this.tenth = undefined; // another loop
    const total = Number.isSafeInteger(of) && of > 0 ? of : 0;
    const due = total
      ? Math.floor((this.iterations * TENTHS) / total) > (this.tenth ?? -1)
      : this.iterations % this.stride === 0;
    if (!due) return;
    if (total) {
      this.tenth = Math.floor((this.iterations * TENTHS) / total);
    } else if (++this.readings === MOST_READINGS) {
      this.stride *= 2;
      this.readings /= 2;
    }
    this.report("iteration", { count: this.iterations, of: total }, true);
  }
}

const [folder, interval] = (process.env.MEMGUARD_NODE || "").split("\n");
if (folder) {
  try {
    new Reporter(folder, Number(interval)).start();
  } catch {
    // the watch has ended, or this process must not write to its pipe
  }
}
