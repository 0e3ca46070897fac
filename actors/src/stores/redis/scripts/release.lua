-- Gives the lease back; its epoch stays, so that no epoch comes twice.
-- KEYS lease   ARGV epoch
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'holder', '')
end
return 1
