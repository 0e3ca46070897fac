-- Takes the lease when nobody has it, when the caller has it, or when its holder has not moved since the caller
-- looked last. Always under a new epoch: whoever still acts under an older one changes nothing.
-- KEYS lease   ARGV holder, epoch and beat as seen (empty at the first look), lowest epoch
local found = redis.call('HMGET', KEYS[1], 'epoch', 'beat', 'holder')
local epoch, beat, holder = found[1], found[2] or '0', found[3] or ''
if epoch and holder ~= '' and holder ~= ARGV[1] and (epoch ~= ARGV[2] or beat ~= ARGV[3]) then
  return {'held', epoch, beat, holder}
end
local mine = math.max(tonumber(epoch or '0'), tonumber(ARGV[4])) + 1
redis.call('HSET', KEYS[1], 'epoch', mine, 'beat', 0, 'holder', ARGV[1])
return {'yours', tostring(mine)}
