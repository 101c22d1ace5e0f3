// Node's BullMQ, told what to do line by line. A line in, [url, prefix, queue, verb, ...arguments], gives a line out,
// {"answer": …} or {"error": …}; before the first comes "ready". The verbs:
//   queue.METHOD …          calls the queue          flow.METHOD …             calls the flow producer
//   job.METHOD id …         calls one of its jobs    worker.METHOD number …    calls a worker
//   job.ended id            waits for a job's result, as told by the queue's events
//   work options            starts a worker and answers its number
//   runs number             what that worker has run so far: {number, id, attempt, from, to}, times in epoch seconds
//   events                  every event of the queue so far: {event, …}
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } from "bullmq";
import { Redis } from "ioredis";

const opened = new Map();
const workers = [];

// What is opened once for a key, and closed at the end, in the opposite order.
function once(key, open) {
  if (!opened.has(key)) opened.set(key, open());
  return opened.get(key);
}

const EVENTS = [
  "active", "added", "completed", "deduplicated", "delayed", "drained", "duplicated", "failed", "paused", "progress",
  "removed", "resumed", "retries-exhausted", "stalled", "waiting", "waiting-children",
];

function listen(name, options) {
  const source = new QueueEvents(name, { ...options, lastEventId: "0" });
  source.seen = [];
  for (const event of EVENTS) {
    source.on(event, (args) => source.seen.push({ event, ...(event === "drained" ? {} : args) }));
  }
  return source;
}

// A job's data says what is to be done with it; `perform` in tests/engine/test_node_interop.py does the same.
async function perform(job, runs) {
  const { number, milliseconds = 0, failures = 0, final, log, progress, gather, result = "done" } = job.data;
  const run = { number, id: job.id, attempt: job.attemptsMade + 1, from: Date.now() / 1000 };
  runs.push(run);
  if (log !== undefined) await job.log(log);
  if (progress !== undefined) await job.updateProgress(progress);
  if (milliseconds) await setTimeout(milliseconds);
  run.to = Date.now() / 1000;
  if (final) throw new UnrecoverableError(final);
  if (job.attemptsMade < failures) throw new Error(`attempt ${run.attempt} failed`);
  return gather ? job.getChildrenValues() : result;
}

async function work(name, options) {
  const runs = [];
  const worker = new Worker(name, (job) => perform(job, runs), options);
  await worker.waitUntilReady();
  return workers.push({ worker, runs }) - 1;
}

async function call([url, prefix, name, verb, ...args]) {
  const connection = once(url, () => new Redis(url.replace("unix://", ""), { maxRetriesPerRequest: null }));
  const options = { connection, prefix };
  const key = `${url} ${prefix} ${name}`;
  const queue = once(`queue ${key}`, () => new Queue(name, options));
  const events = () => once(`events ${key}`, () => listen(name, options));
  const [object, method] = verb.split(".");
  switch (object) {
    case "queue":
      return queue[method](...args);
    case "flow":
      return once(`flow ${url} ${prefix}`, () => new FlowProducer(options))[method](...args);
    case "job": {
      const job = await queue.getJob(args.shift());
      return method === "ended" ? job.waitUntilFinished(events()) : job[method](...args);
    }
    case "work":
      return work(name, { ...options, ...args[0] });
    case "worker":
      return workers[args.shift()].worker[method](...args);
    case "runs":
      return workers[args[0]].runs;
    case "events":
      return events().seen;
  }
  throw new Error(`no such verb: ${verb}`);
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const reply = await call(JSON.parse(line)).then(
    (answer) => ({ answer: answer ?? null }),
    (error) => ({ error: String(error) }),
  );
  console.log(JSON.stringify(reply));
}
for (const { worker } of workers) await worker.close();
for (const one of [...opened.values()].reverse()) await (one instanceof Redis ? one.quit() : one.close());
