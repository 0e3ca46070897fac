-- Removes what retention no longer keeps, and never what somebody still needs: an entry that a group has not
-- acknowledged, or that lies behind the older of the client's two snapshots.
-- What is left is noted first, so that what somebody else removes can be told from this. Where that has happened since
-- it was looked for, nothing is removed: noting what is left would hide it.
-- KEYS a stream, the client's hash, meta   ARGV oldest tick to keep, most entries, most to remove now, the stream's name
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local needed = nil
local function need(id)
  if needed == nil or earlier(id, needed) then needed = id end
end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
  local pending = redis.call('XPENDING', KEYS[1], group['name'])
  need(pending[1] > 0 and pending[2] or group['last-delivered-id'])
end
-- Without a group nobody has said what was read.
if needed == nil then return 0 end
-- No state was ever saved: whatever the group was given, nobody has it for good.
local behind = redis.call('HGET', KEYS[2], 'previous_' .. ARGV[4])
if not behind then return 0 end
need(behind)
local old = first_of_tick(KEYS[1], tonumber(ARGV[1]), needed)
local excess = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[2])
if excess > 0 then
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(excess, tonumber(ARGV[3])) + 1)
  local keep = first[#first][1]
  if earlier(old, keep) then old = keep end
end
if earlier(old, needed) then needed = old end
local left = redis.call('XRANGE', KEYS[1], needed, '+', 'COUNT', 1)[1]
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not left or not earlier(first[1], left[1]) then return 0 end
local function seq(entry)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'seq' then return entry[2][i + 1] end
  end
end
local noted = tonumber(redis.call('HMGET', KEYS[3], 'first:' .. ARGV[4])[1] or '')
local begins = tonumber(seq(first) or '')
if noted and begins and begins > noted then return 0 end
if seq(left) then redis.call('HSET', KEYS[3], 'first:' .. ARGV[4], seq(left)) end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', needed, 'LIMIT', ARGV[3])
