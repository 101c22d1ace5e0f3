--[[
  Where many jobs of one queue stand.

    KEYS 1 delayed
    ARGV 1 prefix of a job's key, then the ids

  Answers for each id: "" when there is no such job or it has finished, "0" when it waits or runs, the score of a
  delayed one.
]]
local call = redis.call
local found = {}
for place = 2, #ARGV do
  local fields = call("HMGET", ARGV[1] .. ARGV[place], "timestamp", "finishedOn")
  if not fields[1] or fields[2] then
    found[place - 1] = ""
  else
    found[place - 1] = call("ZSCORE", KEYS[1], ARGV[place]) or "0"
  end
end
return found
