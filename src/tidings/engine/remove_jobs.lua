--[[
  Removes many delayed jobs from one queue, each as BullMQ's removeJob does.

    KEYS 1 delayed, 2 meta, 3 events
    ARGV 1 prefix of a job's key, then the ids

  Answers the ids of jobs that are there but not simply delayed; those are left to removeJob.
]]
local call = redis.call
local delayed, meta, events, prefix = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local most_events = call("HGET", meta, "opts.maxLenEvents")

local others = {}
for place = 2, #ARGV do
  local id = ARGV[place]
  local key = prefix .. id
  if call("ZSCORE", delayed, id) then
    local special = call("HMGET", key, "rjk", "parentKey", "deid")
    if not most_events or special[1] or special[2] or special[3] or call("EXISTS", key .. ":lock") == 1 then
      others[#others + 1] = id
    else
      call("ZREM", delayed, id)
      if call("DEL", key, key .. ":logs", key .. ":dependencies", key .. ":processed", key .. ":failed",
          key .. ":unsuccessful") > 0 then
        call("XADD", events, "MAXLEN", "~", most_events, "*", "event", "removed", "jobId", id, "prev", "delayed")
      end
    end
  elseif call("EXISTS", key) == 1 then
    others[#others + 1] = id
  end
end
return others
