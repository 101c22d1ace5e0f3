--[[
  Where many jobs of one queue stand.

    KEYS 1 delayed, 2 active, 3 prioritized, 4 waiting-children
    ARGV 1 prefix of a job's key, then the ids

  Answers for each id: "" when there is no such job or it has finished, the score of a delayed one, "0" when it runs or
  waits with a priority or for its children, "?" when it waits in a list, or nowhere at all.
]]
local call = redis.call
local prefix = ARGV[1]
local active

local function is_active(id)
  if not active then
    active = {}
    for _, one in ipairs(call("LRANGE", KEYS[2], 0, -1)) do
      active[one] = true
    end
  end
  return active[id]
end

local found = {}
for place = 2, #ARGV do
  local id = ARGV[place]
  local fields = call("HMGET", prefix .. id, "timestamp", "finishedOn")
  if not fields[1] or fields[2] then
    found[place - 1] = ""
  else
    local score = call("ZSCORE", KEYS[1], id)
    if score then
      found[place - 1] = score
    elseif is_active(id) or call("ZSCORE", KEYS[3], id) or call("ZSCORE", KEYS[4], id) then
      found[place - 1] = "0"
    else
      found[place - 1] = "?"
    end
  end
end
return found
