-- Takes the lease when nobody has it, when the caller has it, or when its holder has not moved since the caller
-- looked last. Always under a new epoch: whoever still acts under an older one changes nothing.
-- KEYS lease   ARGV holder, epoch and beat as seen (empty at the first look), lowest epoch, what no epoch reaches,
-- the latest format that the caller reads: it stands beside its epoch, so that it is never taken for another client's
local found = redis.call('HMGET', KEYS[1], 'epoch', 'beat', 'holder')
local epoch, beat, holder = found[1], found[2] or '0', found[3] or ''
if epoch and holder ~= '' and holder ~= ARGV[1] and (epoch ~= ARGV[2] or beat ~= ARGV[3]) then
  return {'held', epoch, beat, holder}
end
-- One that cannot be counted on from, as an older evenkeel may have left it, is no longer anybody's.
local before = tonumber(epoch or '0') or 0
if not (before >= 0 and before < tonumber(ARGV[5])) then before = 0 end
-- `tostring` would give 14 digits only.
local mine = string.format('%.0f', math.max(before, tonumber(ARGV[4])) + 1)
redis.call('HSET', KEYS[1], 'epoch', mine, 'beat', 0, 'holder', ARGV[1], 'reads', mine .. ' ' .. ARGV[6])
return {'yours', mine}
