-- The group's next entries, for the one who levels, and up to which tick the streams tell then.
-- KEYS lease, meta, the streams   ARGV epoch, group, consumer, most entries of each stream, whether to renew the
-- lease, the latest format that the caller knows, then for each stream `>` or the id after which the consumer's own
-- pending entries are given again
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return {'fenced'}
end
local meta = redis.call('HMGET', KEYS[2], 'journal', 'tick', 'tick_ms', 'format', 'window_ticks', 'default_delay_ticks')
if meta[4] and (tonumber(meta[4]) or 0) > tonumber(ARGV[6]) then
  return {'newer', meta[4]}
end
if ARGV[5] == '1' then
  redis.call('HINCRBY', KEYS[1], 'beat', 1)
end
local command = {'XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[4], 'STREAMS'}
for i = 3, #KEYS do command[#command + 1] = KEYS[i] end
for i = 7, #ARGV do command[#command + 1] = ARGV[i] end
local read = redis.call(unpack(command))
return {'read', meta[1] or '', meta[2] or '', meta[3] or '', meta[5] or '', meta[6] or '', read or {}}
