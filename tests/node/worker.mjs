// Works on a queue until its input ends: node worker.mjs address prefix queue concurrency milliseconds-per-job.
// Prints "ready", then a line for each job as it starts.
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import { setTimeout } from "node:timers/promises";

const [address, prefix, queue, concurrency, duration] = process.argv.slice(2);
const connection = new Redis(address, { maxRetriesPerRequest: null });

const worker = new Worker(
  queue,
  async ({ id, name, data, priority, attemptsMade }) => {
    console.log(JSON.stringify({ at: Date.now() / 1000, id, name, data, priority, attemptsMade }));
    await setTimeout(Number(duration));
    return "done by Node";
  },
  { connection, prefix, concurrency: Number(concurrency) },
);
await worker.waitUntilReady();
console.log("ready");

for await (const _ of process.stdin);
await worker.close();
await connection.quit();
