-- Adds to a line of a cart, or makes the line, as one step: Redis runs nothing else meanwhile.
--
-- A cart is a hash. Its field '', which no item can have as its id, holds the version and the time
-- of the last change; every other field is an item and holds "count added price sale expiry", where
-- `added` is the version that brought the line, for the order of lines.
--
-- KEYS[1]: the cart. ARGV: item, count, "price sale expiry", time.
-- Returns 0 (the line was there), 1 (it is new), 2 (the cart is full) or 3 (the count is too great),
-- and the cart's fields and values.
local MAX_LINES, MAX_COUNT = 1000, 1000000

local cart, item, count = KEYS[1], ARGV[1], tonumber(ARGV[2])
local stored = redis.call('HMGET', cart, '', item)
local version = 1
if stored[1] then
    version = tonumber(string.match(stored[1], '^%d+')) + 1
end

local outcome, added = 1, version
if stored[2] then
    local counted
    counted, added = string.match(stored[2], '^(%d+) (%d+)')
    outcome, count = 0, count + tonumber(counted)
elseif redis.call('HLEN', cart) > MAX_LINES then
    return {2, {}}
end
if count > MAX_COUNT then
    return {3, {}}
end

redis.call('HSET', cart, '', version .. ' ' .. ARGV[4], item, count .. ' ' .. added .. ' ' .. ARGV[3])
return {outcome, redis.call('HGETALL', cart)}
