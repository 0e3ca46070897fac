-- The client's state and the acknowledgement of what it holds, together, for the one who levels.
-- KEYS lease, snapshot, previous snapshot, client, the streams
-- ARGV epoch, state, group, journal, then for each stream its name and the last applied id
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return {'fenced'}
end
-- What has been acknowledged is not given again: a state from before that would miss it for ever.
for i = 5, #KEYS do
  local before = redis.call('HGET', KEYS[4], ARGV[2 * i - 5])
  if before and earlier(ARGV[2 * i - 4], before) then
    return {'older'}
  end
end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('RENAME', KEYS[2], KEYS[3])
end
redis.call('SET', KEYS[2], ARGV[2])
local acknowledged = 0
for i = 5, #KEYS do
  local name, applied = ARGV[2 * i - 5], ARGV[2 * i - 4]
  local before = redis.call('HGET', KEYS[4], name)
  redis.call('HSET', KEYS[4], name, applied, 'previous_' .. name, before or applied)
  repeat
    -- A group that is gone is rebuilt by the writer; the state is saved all the same.
    local pending = redis.pcall('XPENDING', KEYS[i], ARGV[3], '-', applied, 1000)
    local ids = {}
    if not pending.err then
      for n, entry in ipairs(pending) do ids[n] = entry[1] end
    end
    if #ids > 0 then
      acknowledged = acknowledged + redis.call('XACK', KEYS[i], ARGV[3], unpack(ids))
    end
  until #ids < 1000
end
redis.call('HSET', KEYS[4], 'epoch', ARGV[1], 'journal', ARGV[4])
return {'saved', acknowledged}
