// Calls methods of BullMQ's queues and their jobs: node queue.mjs address, a port of this machine or a socket's path.
// A line in, [prefix, queue, method, ...arguments], gives a line out, {"answer": …} or {"error": …}.
// A method like "job.retry" is called on the job whose id comes first.
import { createInterface } from "node:readline";
import { Queue } from "bullmq";
import { Redis } from "ioredis";

const connection = new Redis(process.argv[2], { maxRetriesPerRequest: null });
const queues = new Map();

function queueOf(prefix, name) {
  const key = `${prefix}:${name}`;
  if (!queues.has(key)) queues.set(key, new Queue(name, { connection, prefix }));
  return queues.get(key);
}

async function call([prefix, name, method, ...args]) {
  const queue = queueOf(prefix, name);
  if (!method.startsWith("job.")) return queue[method](...args);
  const job = await queue.getJob(args.shift());
  return job[method.slice("job.".length)](...args);
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await call(JSON.parse(line)).then(
    (answer) => ({ answer: answer ?? null }),
    (error) => ({ error: String(error) }),
  );
  console.log(JSON.stringify(reply));
}
for (const queue of queues.values()) await queue.close();
await connection.quit();
