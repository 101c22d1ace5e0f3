--[[
  Completes many jobs of one queue, each as BullMQ's moveToFinished leaves it: the same keys, scores and events. What
  that script does for the queue as a whole (old jobs removed, events trimmed, metrics summed up) is left to it: one
  more job has to follow on it.

  A job that has to do with others (parent, children, deduplication) is left as it is, and to that script; so are all
  when a minute of the metrics is over, as it knows how much of their count belongs to the minutes before.

    KEYS 1 active, 2 stalled, 3 completed, 4 events, 5 metrics
    ARGV 1 prefix of a job's key
         2 epoch milliseconds
         3 "1" when completed jobs stay, "" when they are removed
         4 "1" when metrics are kept
         5 msgpack: id, lock token, result as JSON of the first job, then of the next …

  Answers for each job 0, 1 when it is left to moveToFinished, or as that one does: -1 there is no such job, -2 it has
  no lock, -3 it is not active, -6 another worker has it.
]]
local call = redis.call
local active, stalled, completed, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, now, stay = ARGV[1], ARGV[2], ARGV[3] == "1"
local jobs = cmsgpack.unpack(ARGV[5])
local counted_at = ARGV[4] == "1" and call("HGET", KEYS[5], "prevTS")
local is_new_minute = counted_at and math.floor(now / 60000) > math.floor(counted_at / 60000)

local function complete(id, token, value)
  local key = prefix .. id
  local fields = call("HMGET", key, "timestamp", "parentKey", "parent", "deid")
  if not fields[1] and call("EXISTS", key) == 0 then
    return -1
  end
  local has_others = fields[2] or fields[3] or fields[4]
  if is_new_minute or has_others or call("EXISTS", key .. ":dependencies", key .. ":unsuccessful") > 0 then
    return 1
  end
  local lock = call("GET", key .. ":lock")
  if lock ~= token then
    return lock and -6 or -2
  end
  call("DEL", key .. ":lock")
  call("SREM", stalled, id)
  if call("LREM", active, -1, id) < 1 then
    return -3
  end
  if stay then
    call("HINCRBY", key, "atm", 1)
    call("ZADD", completed, now, id)
    call("HSET", key, "returnvalue", value, "finishedOn", now)
  else
    call("DEL", key, key .. ":logs", key .. ":processed", key .. ":failed")
  end
  call("XADD", events, "*", "event", "completed", "jobId", id, "returnvalue", value, "prev", "active")
  return 0
end

local answers, done = {}, 0
for place = 1, #jobs, 3 do
  local answer = complete(jobs[place], jobs[place + 1], jobs[place + 2])
  done = answer == 0 and done + 1 or done
  answers[#answers + 1] = answer
end
if ARGV[4] == "1" and done > 0 then
  call("HINCRBY", KEYS[5], "count", done)
end
return answers
