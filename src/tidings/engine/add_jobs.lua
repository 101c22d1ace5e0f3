--[[
  Adds many jobs to one queue, each as BullMQ's addDelayedJob, addPrioritizedJob or addStandardJob leaves it: the same
  keys, scores, events and markers. What those scripts do for every job and once is enough, is done once here.

  Jobs have no parent, no repetition and no deduplication. One whose id is there already is left as it is.

    KEYS 1 marker, 2 meta, 3 id, 4 delayed, 5 events, 6 wait, 7 active, 8 prioritized, 9 pc
    ARGV 1 prefix of a job's key
         2 epoch milliseconds that the jobs are added at
         3 msgpack: name, options as JSON, priority of the first kind, then of the next …
         4 msgpack: kind (from 0), id or "", data as JSON, milliseconds of delay of the first job, then of the next …

  Answers the ids that were there already.
]]
local call = redis.call
local marker, meta, counter, delayed, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local wait, active, prioritized, priorities = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local prefix, timestamp = ARGV[1], tonumber(ARGV[2])
local kinds, jobs = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])

local settings = call("HMGET", meta, "opts.maxLenEvents", "paused", "concurrency")
local most_events = settings[1]
if not most_events then
  most_events = 10000
  call("HSET", meta, "opts.maxLenEvents", most_events)
end
local closed = settings[2] or (settings[3] and call("LLEN", active) >= tonumber(settings[3]))

local last_scores = {}

-- The due millisecond in the upper bits, below it a number that keeps jobs of one millisecond in order.
local function delayed_score(due)
  local first, most = due * 0x1000, (due + 1) * 0x1000 - 1
  local last = last_scores[due]
  if not last then
    last = tonumber(call("ZREVRANGEBYSCORE", delayed, most, first, "WITHSCORES", "LIMIT", 0, 1)[2])
  end
  local score = last and math.min(last + 1, most) or first
  last_scores[due] = score
  return score
end

local present, any_delayed, any_waiting = {}, false, false
for place = 1, #jobs, 4 do
  local kind, id, data, delay = jobs[place] * 3, jobs[place + 1], jobs[place + 2], jobs[place + 3]
  local name, options, priority = kinds[kind + 1], kinds[kind + 2], kinds[kind + 3]
  local number = call("INCR", counter)
  if id == "" then
    id = number .. ""
  end
  local key = prefix .. id
  if call("EXISTS", key) == 1 then
    present[#present + 1] = id
  else
    call("HSET", key, "name", name, "data", data, "opts", options,
      "timestamp", timestamp, "delay", delay, "priority", priority)
    call("XADD", events, "*", "event", "added", "jobId", id, "name", name)
    if delay > 0 then
      local due = timestamp + delay
      call("ZADD", delayed, delayed_score(due), id)
      call("XADD", events, "MAXLEN", "~", most_events, "*", "event", "delayed", "jobId", id, "delay", due)
      any_delayed = true
    else
      if priority > 0 then
        local count = call("INCR", priorities)
        call("ZADD", prioritized, priority * 0x100000000 + count % 0x100000000, id)
      else
        call("LPUSH", wait, id)
      end
      call("XADD", events, "MAXLEN", "~", most_events, "*", "event", "waiting", "jobId", id)
      any_waiting = true
    end
  end
end

if any_delayed then
  call("ZADD", marker, tonumber(call("ZRANGE", delayed, 0, 0, "WITHSCORES")[2]) / 0x1000, "1")
end
if any_waiting and not closed then
  call("ZADD", marker, 0, "0")
end
return present
