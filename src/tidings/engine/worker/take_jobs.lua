--[[
  Takes many jobs of one queue at once, each as BullMQ's moveToActive leaves it: the same keys, locks and events.

  Due jobs are promoted first, up to a thousand as there.

    KEYS 1 wait, 2 active, 3 prioritized, 4 events, 5 limiter, 6 delayed, 7 meta, 8 pc, 9 marker
    ARGV 1 prefix of a job's key
         2 epoch milliseconds
         3 jobs at most
         4 lock token; the first job is locked by it and ":1", the second by it and ":2" …
         5 milliseconds that locks last
         6 the worker's name, or ""
         7 jobs that may start in a window, or ""; the queue's own limit goes before it
         8 milliseconds of a window, or ""; as in BullMQ, it goes before the queue's own

  Answers id and fields of the first job, then of the next …; for how many milliseconds the queue is rate limited; and,
  with fewer jobs than asked for, the epoch milliseconds at which the next delayed one is due (0 for neither).
]]
local call = redis.call
local wait, active, prioritized, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local limiter, delayed, meta, priorities, marker = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local prefix, now, most, token, lock_for, name = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]

local settings = call("HMGET", meta, "paused", "concurrency", "max", "duration")
local room = most
if settings[1] then
  room = 0
elseif settings[2] then
  room = math.min(room, tonumber(settings[2]) - call("LLEN", active))
end

local latest = (tonumber(now) + 1) * 0x1000 - 1
local due = call("ZRANGEBYSCORE", delayed, 0, latest, "LIMIT", 0, 1000)
if #due > 0 then
  call("ZREMRANGEBYRANK", delayed, 0, #due - 1)
  for _, id in ipairs(due) do
    local key = prefix .. id
    local priority = tonumber(call("HGET", key, "priority")) or 0
    if priority == 0 then
      call("LPUSH", wait, id)
    else
      call("ZADD", prioritized, priority * 0x100000000 + call("INCR", priorities) % 0x100000000, id)
    end
    call("XADD", events, "*", "event", "waiting", "jobId", id, "prev", "delayed")
    call("HSET", key, "delay", 0)
  end
end

local limit, limited, allowed = tonumber(settings[3] or ARGV[7]), 0, math.huge
local window = ARGV[8] ~= "" and ARGV[8] or settings[4]
if limit and room > 0 then
  local started = tonumber(call("GET", limiter)) or 0
  if started >= limit then
    limited = call("PTTL", limiter)
    if limited == 0 then
      call("DEL", limiter)
    end
    started = 0
  end
  allowed = limited > 0 and 0 or limit - started
  limited = math.max(limited, 0)
end

local function next_id()
  local id = call("RPOPLPUSH", wait, active)
  while id and string.sub(id, 1, 2) == "0:" do -- what older versions of BullMQ left there as a marker
    call("LREM", active, 1, id)
    id = call("RPOPLPUSH", wait, active)
  end
  if id then
    return id
  end
  local popped = call("ZPOPMIN", prioritized)
  if #popped > 0 then
    call("LPUSH", active, popped[1])
    return popped[1]
  end
  call("DEL", priorities)
end

local jobs, taken, counted = {}, 0, 0
while taken < room and counted < allowed do
  local id = next_id()
  if not id then
    break
  end
  taken = taken + 1
  local key = prefix .. id
  call("SET", key .. ":lock", token .. ":" .. taken, "PX", lock_for)
  call("XADD", events, "*", "event", "active", "jobId", id, "prev", "waiting")
  if name == "" then
    call("HSET", key, "processedOn", now)
  else
    call("HSET", key, "processedOn", now, "pb", name)
  end
  call("HINCRBY", key, "ats", 1)
  if limit and call("HEXISTS", key, "defa") == 0 then
    counted = counted + 1
  end
  jobs[#jobs + 1] = id
  jobs[#jobs + 1] = call("HGETALL", key)
end

if counted > 0 then
  local started = call("INCRBY", limiter, counted)
  if started == counted then
    call("PEXPIRE", limiter, math.floor(math.abs(window)))
  end
  if started >= limit then
    limited = math.max(call("PTTL", limiter), 0)
  end
end

local following = call("ZRANGE", delayed, 0, 0, "WITHSCORES")[2]
local is_left = call("EXISTS", wait, prioritized) > 0 or (following and tonumber(following) <= latest)
if is_left and not settings[1] and (taken > 0 or #due > 0) then
  call("ZADD", marker, 0, "0") -- for whoever has room for it
end
return {jobs, limited, taken < most and following and tonumber(following) / 0x1000 or 0}
