-- A writer says who it is. Nobody else's streams are taken over, no later writer is pushed out, and no later format is
-- written over.
-- KEYS meta   ARGV journal, writer epoch, format version, tick_ms, label, this start of the writer, its next tick,
-- ticks in a window, ticks of a delay that nobody asked for
local found = redis.call('HMGET', KEYS[1], 'journal', 'writer_epoch', 'label', 'writer', 'tick', 'format')
if found[1] and found[1] ~= ARGV[1] then
  return {'other', found[1], found[3] or ''}
end
-- Ticks told here that the writer does not know of: it begins with an older copy of its journal.
if found[1] and found[5] and tonumber(found[5]) >= tonumber(ARGV[7]) then
  return {'older', found[5]}
end
-- Each start counts the epoch up: the same one with another start is a copy of the data directory.
local theirs, ours = tonumber(found[2] or '0'), tonumber(ARGV[2])
if theirs > ours or (theirs == ours and found[4] ~= ARGV[6]) then
  return {'replaced', found[2]}
end
-- Each step leads from its format to the next one, and says what it changes.
-- 1 to 2: entries may say more, and may be of more kinds; those that are there stay as they are.
local upgrades = {[1] = function() end}
local stands, wanted = tonumber(found[6] or ARGV[3]), tonumber(ARGV[3])
if not stands or stands > wanted then
  return {'newer', found[6]}
end
for from = stands, wanted - 1 do
  if not upgrades[from] then return {'outdated', found[6]} end
end
for from = stands, wanted - 1 do
  upgrades[from]()
end
redis.call('HSET', KEYS[1], 'journal', ARGV[1], 'writer_epoch', ARGV[2], 'format', ARGV[3], 'tick_ms', ARGV[4],
  'label', ARGV[5], 'writer', ARGV[6], 'window_ticks', ARGV[8], 'default_delay_ticks', ARGV[9])
return {found[1] and 'known' or 'new'}
