-- Whether the entry id `a` comes before `b`. Both halves have up to 20 digits, of which Lua's numbers keep 15: the shorter
-- one is the smaller one, as no id begins with zeros.
local function smaller(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function earlier(a, b)
  local am, an = a:match('(%d+)-(%d+)')
  local bm, bn = b:match('(%d+)-(%d+)')
  if am ~= bm then return smaller(am, bm) end
  return smaller(an, bn)
end
