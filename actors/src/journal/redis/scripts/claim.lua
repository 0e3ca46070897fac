-- A writer says who it is. Nobody else's streams are taken over, and no later writer is pushed out.
-- KEYS meta   ARGV journal, writer epoch, format version, tick_ms, label, this start of the writer
local found = redis.call('HMGET', KEYS[1], 'journal', 'writer_epoch', 'label', 'writer')
if found[1] and found[1] ~= ARGV[1] then
  return {'other', found[1], found[3] or ''}
end
-- Each start counts the epoch up: the same one with another start is a copy of the data directory.
local theirs, ours = tonumber(found[2] or '0'), tonumber(ARGV[2])
if theirs > ours or (theirs == ours and found[4] ~= ARGV[6]) then
  return {'replaced', found[2]}
end
redis.call('HSET', KEYS[1], 'journal', ARGV[1], 'writer_epoch', ARGV[2], 'format', ARGV[3], 'tick_ms', ARGV[4],
  'label', ARGV[5], 'writer', ARGV[6])
return {found[1] and 'known' or 'new'}
