// A Node worker's process: node contestant.mjs NODE_MODULES OPTIONS. It talks with the bench as contestant.py does.
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";

const options = JSON.parse(process.argv[3]);
// An import would look for packages beside this file, not where the bench found them.
const require = createRequire(`${process.argv[2]}/`);
const { Worker } = require("bullmq");
const { Redis } = require("ioredis");

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

function work(queue, processor) {
  const connection = new Redis(options.address, { maxRetriesPerRequest: null });
  const { prefix, concurrency } = options;
  const worker = new Worker(queue, processor, { connection, prefix, concurrency });
  worker.on("error", (error) => console.error(`node: ${error}`));
  return worker;
}

// Epoch milliseconds when performance.now() was 0, by a turn of the clock, which Date.now() shows in whole ones only.
function epoch() {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return now - performance.now();
}

// Seconds, and seconds of this process's CPU, from the first job's start to the last one's completion.
function race() {
  return new Promise((resolve) => {
    let began;
    let left = options.jobs;
    const worker = work(options.queues[0], async () => {
      began ??= [performance.now(), cpu()];
    });
    worker.on("completed", () => {
      left -= 1;
      if (!left) resolve({ seconds: (performance.now() - began[0]) / 1000, cpu: cpu() - began[1] });
    });
  });
}

const started = new Map();
const note = async (job) => {
  started.set(job.id, performance.now());
};

if (!options.jobs) {
  await Promise.all(options.queues.map((queue) => work(queue, note).waitUntilReady()));
}
say({ runtime: `Node ${process.versions.node}`, bullmq: require("bullmq/package.json").version });
for await (const _ of createInterface({ input: process.stdin })) {
  if (options.jobs) {
    say(await race());
  } else {
    const used = cpu();
    const zero = started.size ? epoch() : 0;
    say({ started: Object.fromEntries([...started].map(([id, at]) => [id, zero + at])), cpu: used });
  }
}
process.exit(0);
