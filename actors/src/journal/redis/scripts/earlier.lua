-- Whether the entry id `a` comes before `b`.
local function earlier(a, b)
  local am, an = a:match('(%d+)-(%d+)')
  local bm, bn = b:match('(%d+)-(%d+)')
  if tonumber(am) ~= tonumber(bm) then return tonumber(am) < tonumber(bm) end
  return tonumber(an) < tonumber(bn)
end
