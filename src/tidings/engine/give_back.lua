--[[
  Takes back that a job has started, in the window of its queue's rate limit: it has used up nothing.

    KEYS 1 limiter
    ARGV 1 milliseconds that the job has taken
         2 milliseconds of a window

  A window that opened after the job had started did not count it.
]]
local left = redis.call("PTTL", KEYS[1])
if left > 0 and tonumber(ARGV[2]) - left >= tonumber(ARGV[1]) and tonumber(redis.call("GET", KEYS[1])) > 0 then
  redis.call("DECR", KEYS[1])
end
