-- Age is a matter of ticks: ids follow a clock, and a clock may have been wrong for a while.
-- An id of the stream `key` before which all entries tell of ticks before `oldest`, and none after it; `needed` where that
-- is not before it. Ticks grow with the ids, so this is a search in halves: first over milliseconds, of which a clock that
-- ran ahead leaves days, then over the entries of one, of which a clock that went back leaves days.
-- Ids are written in full: Lua's own text of a large number is a rounded one.
local function first_of_tick(key, oldest, needed)
  local function at(ms, n) return string.format('%.0f-%.0f', ms, n) end
  -- What ran is told when it has ended: where both are there, the end counts.
  local function tick(entry)
    local told
    for i = 1, #entry[2], 2 do
      local name = entry[2][i]
      if name == 'finished_tick' or name == 'last_tick' then return tonumber(entry[2][i + 1]) end
      if name == 'tick' then told = tonumber(entry[2][i + 1]) end
    end
    return told
  end
  -- Whether what begins at `id` is young enough. An entry that tells no tick, which nobody of ours wrote, counts as the
  -- one after it.
  local function young(id)
    local count = 1
    while count <= 1000 do
      local entries = redis.call('XRANGE', key, id, '+', 'COUNT', count)
      for _, entry in ipairs(entries) do
        local found = tick(entry)
        if found then return found >= oldest end
      end
      if #entries < count then return true end
      count = count * 10
    end
    return true
  end
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  if not first or young('-') then return '0-0' end
  if not young(needed) then return needed end
  -- The first millisecond at which it is young: what begins at `low` is too old, at `high` it is not.
  local low, high = tonumber((first[1]:match('(%d+)-'))), tonumber((needed:match('(%d+)-'))) + 1
  while low + 1 < high do
    local middle = math.floor((low + high) / 2)
    -- Beyond 2^53 numbers have gaps; no clock has got there.
    if middle <= low or middle >= high then break end
    if young(at(middle, 0)) then high = middle else low = middle end
  end
  -- The entry of the one before it from which on it is young.
  local ms, beyond = low, 1
  while not young(at(ms, beyond)) do
    if beyond >= 2 ^ 52 then return at(ms, 0) end
    beyond = beyond * 2
  end
  low, high = math.floor(beyond / 2), beyond
  while low + 1 < high do
    local middle = math.floor((low + high) / 2)
    if young(at(ms, middle)) then high = middle else low = middle end
  end
  return at(ms, high)
end
