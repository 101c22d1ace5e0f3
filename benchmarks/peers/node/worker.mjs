// Messages by hand: `node worker.mjs work` sends them, `node worker.mjs schedule FILE` schedules
// their jobs, with schedule-rows also the rows.
import { readFileSync } from "node:fs";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { Agent, request } from "undici";

const { DATABASE_URL, REDIS_URL, SINK_URL, CONCURRENCY } = process.env;
const connection = new Redis(REDIS_URL.replace(/^unix:\/\//, ""), { maxRetriesPerRequest: null });
const pool = new pg.Pool({ connectionString: DATABASE_URL });
const SLICE = 1000;

function work() {
  const dispatcher = new Agent({ connections: Number(CONCURRENCY) });
  const headers = { "content-type": "application/json" };
  const send = async (job) => {
    const found = await pool.query({
      name: "read",
      text: "SELECT id, phone, body FROM messages WHERE id = $1 AND status = 'scheduled'",
      values: [job.data.id],
    });
    const message = found.rows[0];
    if (!message) return;
    const payload = JSON.stringify({ message_id: message.id, phone: message.phone, message: message.body });
    const answer = await request(SINK_URL, { method: "POST", headers, body: payload, dispatcher });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`the provider answered ${answer.statusCode}`);
    await pool.query({
      name: "sent",
      text: "UPDATE messages SET status = 'sent', sent_at = now() WHERE id = $1",
      values: [message.id],
    });
  };
  const worker = new Worker("messages", send, { connection, concurrency: Number(CONCURRENCY) });
  worker.on("error", (error) => console.error(error));
  worker.on("failed", (job, error) => console.error(job?.id, error));
  process.on("SIGTERM", () => process.exit(0));
}

async function schedule(file, withRows) {
  const dues = JSON.parse(readFileSync(file));
  const queue = new Queue("messages", { connection });
  await queue.waitUntilReady();
  await pool.query("SELECT 1");
  const used = process.cpuUsage();
  const began = performance.now();
  for (let start = 0; start < dues.length; start += SLICE) {
    const slice = dues.slice(start, start + SLICE);
    if (withRows) {
      await pool.query(
        `INSERT INTO messages (id, phone, body, scheduled_time)
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[])`,
        [
          slice.map(([id]) => id),
          slice.map(([id]) => `+1313${2000000 + id}`),
          slice.map(([id]) => `Hi Ada Abara ${id}, how was DemoCon? 1 to 5`),
          slice.map(([, due]) => new Date(due)),
        ],
      );
    }
    const now = Date.now();
    await queue.addBulk(
      slice.map(([id, due]) => ({
        name: "send",
        data: { id },
        opts: {
          jobId: `message-${id}`,
          delay: Math.max(Math.ceil(due - now), 0),
          attempts: 3,
          backoff: { type: "exponential", delay: 5000 },
          removeOnComplete: { count: 1000 },
          removeOnFail: { count: 1000 },
        },
      })),
    );
  }
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(used);
  console.log(JSON.stringify({ seconds, cpu: (user + system) / 1e6 }));
  process.exit(0);
}

if (process.argv[2] === "work") work();
else await schedule(process.argv[3], process.argv[2] === "schedule-rows");
