/**
 * The state changes of the ephemeral store as Lua: Redis runs a script as one step, so nobody sees or makes a half state.
 * Time is the server's (TIME), in milliseconds. Fields are single letters because they are paid for per session:
 *
 * single-use object  v value · s state (fresh, taken, done) · x index
 * family             a string: current digest · previous digest · lease id · its end · when current was presented first ·
 *                    data of the current generation; a dash or 0 for none
 * code               v digest · w wrong tries
 * bucket             n tokens · t when they were counted
 * list               a hash: of each member its last use · its end of life · its value
 */

const NOW = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)`

/**
 * Adds a key to its grant's index, drops dead members, and lets the index live as long as its longest member. Members leave
 * out the tag that they share with the index: Redis packs a set of short ones into a fifth of the memory.
 */
const ENLIST = `
local function enlist(index, key, ttl)
  local tag = string.match(index, '%b{}')
  local from, to = string.find(key, tag or '{}', 1, true)
  if from then key = string.sub(key, 1, from) .. string.sub(key, to) end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  redis.call('ZADD', index, now + ttl, key)
  redis.call('PEXPIREAT', index, redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2])
end`

/** Removes every member of an index and sets the deny mark. A repeat never shortens the mark. */
const REVOKE = `
local function revoke(index, deny, ttl)
  local tag = string.match(index, '%b{}') or '{}'
  for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do redis.call('UNLINK', (string.gsub(key, '{}', tag))) end
  redis.call('UNLINK', index)
  if redis.call('PTTL', deny) < tonumber(ttl) then redis.call('SET', deny, now, 'PX', ttl) end
end`

/** KEYS key index · ARGV value ttl ifAbsent */
export const PUT = `${NOW}${ENLIST}
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
enlist(KEYS[2], KEYS[1], ARGV[2])
return 1`

/** KEYS key · ARGV value ttl from… (left out: none) */
export const SWAP = `
if redis.call('GET', KEYS[1]) ~= (ARGV[3] or false) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

/** KEYS key index (the key again: none) · ARGV value ttl */
export const OFFER = `${NOW}${ENLIST}
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1], 's', 'fresh')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if KEYS[2] ~= KEYS[1] then
  redis.call('HSET', KEYS[1], 'x', KEYS[2])
  enlist(KEYS[2], KEYS[1], ARGV[2])
end`

/** KEYS key */
export const CONSUME_ONCE = `
local state = redis.call('HGET', KEYS[1], 's')
if not state then return 'gone' end
if state ~= 'fresh' then return 'lost' end
redis.call('HSET', KEYS[1], 's', 'taken')
return 'won'`

/** KEYS key · ARGV digest ttl */
export const SAVE_CODE = `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])`

/** KEYS key · ARGV digest maxTries. Digests are keyed, so how long the comparison takes says nothing about the code. */
export const REDEEM_CODE = `
local digest = redis.call('HGET', KEYS[1], 'v')
if not digest then return 0 end
if digest == ARGV[1] then redis.call('DEL', KEYS[1]) return 1 end
if redis.call('HINCRBY', KEYS[1], 'w', 1) >= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end
return 0`

const SETTLING = `
local function settle(key, ttl)
  local object = redis.call('HMGET', key, 's', 'x')
  if object[1] ~= 'taken' then return end
  redis.call('HSET', key, 's', 'done')
  redis.call('PEXPIRE', key, ttl)
  if object[2] then enlist(object[2], key, ttl) end
end`

/** KEYS key · ARGV ttl */
export const SETTLE = `${NOW}${ENLIST}${SETTLING}
settle(KEYS[1], ARGV[1])`

/** A string costs half of what a hash does, and is read and written by one command. */
const FAMILY = `
local CURRENT, PREVIOUS, LEASE, LEASE_END, PRESENTED_AT, DATA = 1, 2, 3, 4, 5, 6
local NONE = '-'
local function instant(ms) return string.format('%.0f', ms) end
local function readFamily(key)
  local text = redis.call('GET', key)
  return text and {string.match(text, '^(%S+) (%S+) (%S+) (%d+) (%d+) (.*)$')}
end
local function writeFamily(key, family, ...) redis.call('SET', key, table.concat(family, ' '), ...) end`

/** KEYS family index settled deny (the family again: none) · ARGV digest data ttl settledTtl */
export const START_FAMILY = `${NOW}${ENLIST}${SETTLING}${FAMILY}
if KEYS[4] ~= KEYS[1] and redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
writeFamily(KEYS[1], {ARGV[1], NONE, NONE, 0, 0, ARGV[2]}, 'PX', ARGV[3])
enlist(KEYS[2], KEYS[1], ARGV[3])
if KEYS[3] ~= KEYS[1] then settle(KEYS[3], ARGV[4]) end
return 1`

/** KEYS family sealed index deny · ARGV digest leaseId leaseMs graceMs denyTtl */
export const ROTATE_BEGIN = `${NOW}${REVOKE}${FAMILY}
local family = readFamily(KEYS[1])
if not family then return {'gone'} end
local leaseEnd = tonumber(family[LEASE_END])
local isInGrace = now - family[PRESENTED_AT] < tonumber(ARGV[4])
local function lease()
  family[LEASE], family[LEASE_END] = ARGV[2], instant(now + ARGV[3])
  writeFamily(KEYS[1], family, 'KEEPTTL')
  return {'won', family[DATA]}
end
if ARGV[1] == family[CURRENT] then
  if family[LEASE] == NONE then
    redis.call('UNLINK', KEYS[2])
    family[PRESENTED_AT] = instant(now)
    return lease()
  end
  if now < leaseEnd then return {'busy', leaseEnd - now} end
  if isInGrace then return lease() end
elseif ARGV[1] == family[PREVIOUS] and isInGrace then
  -- There is a sealed answer only until its successor is presented.
  local sealed = redis.call('GET', KEYS[2])
  if sealed then return {'replay', sealed} end
end
redis.call('UNLINK', KEYS[1], KEYS[2])
revoke(KEYS[3], KEYS[4], ARGV[5])
return {'reuse'}`

/** KEYS family sealed index · ARGV leaseId digest data sealed ttl graceMs */
export const ROTATE_COMMIT = `${NOW}${ENLIST}${FAMILY}
local family = readFamily(KEYS[1])
if not family or family[LEASE] ~= ARGV[1] then return 0 end
local presentedAt = family[PRESENTED_AT]
writeFamily(KEYS[1], {ARGV[2], family[CURRENT], NONE, 0, presentedAt, ARGV[3]}, 'PX', ARGV[5])
enlist(KEYS[3], KEYS[1], ARGV[5])
local left = ARGV[6] - (now - presentedAt)
if left > 0 then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', left)
  enlist(KEYS[3], KEYS[2], left)
end
return 1`

/** KEYS family sealed index · ARGV presented digest data sealed ttl graceMs */
export const ROTATE = `${NOW}${ENLIST}${FAMILY}
local family = readFamily(KEYS[1])
if not family or family[CURRENT] ~= ARGV[1] or family[LEASE] ~= NONE then return 0 end
writeFamily(KEYS[1], {ARGV[2], ARGV[1], NONE, 0, instant(now), ARGV[3]}, 'PX', ARGV[5])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[6])
enlist(KEYS[3], KEYS[1], ARGV[5])
enlist(KEYS[3], KEYS[2], ARGV[6])
return 1`

/** KEYS family · ARGV leaseId */
export const ROTATE_ABORT = `${FAMILY}
local family = readFamily(KEYS[1])
if not family or family[LEASE] ~= ARGV[1] then return end
family[LEASE], family[LEASE_END] = NONE, 0
writeFamily(KEYS[1], family, 'KEEPTTL')`

/** KEYS index deny · ARGV denyTtl */
export const REVOKE_GRANT = `${NOW}${REVOKE}
revoke(KEYS[1], KEYS[2], ARGV[1])`

const LISTS = `${NOW}
local function entryOf(text)
  local used, ends, value = string.match(text, '^(%d+) (%d+) (.*)$')
  return tonumber(used), tonumber(ends), value
end
local function isAbove(one, other)
  if one.used == other.used then return one.member > other.member end
  return one.used > other.used
end
local function fallOff(member) redis.call('HDEL', KEYS[1], member) end
local function live()
  local entries, found = redis.call('HGETALL', KEYS[1]), {}
  for place = 1, #entries, 2 do
    local member, used, ends, value = entries[place], entryOf(entries[place + 1])
    if ends > now then found[#found + 1] = {member = member, used = used, value = value} else fallOff(member) end
  end
  table.sort(found, isAbove)
  return found
end`

/** KEYS list · ARGV member value ttl cap keep */
export const ENLIST_MEMBER = `${LISTS}
local value, ends = ARGV[2], now + ARGV[3]
local old = redis.call('HGET', KEYS[1], ARGV[1])
local _, oldEnds, oldValue = entryOf(old or '0 0 ')
if oldEnds > now then
  ends = math.max(ends, oldEnds)
  if ARGV[5] == '1' then value = oldValue end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %.0f ', now, ends) .. value)
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then
  for place, entry in ipairs(live()) do
    if place > tonumber(ARGV[4]) then fallOff(entry.member) end
  end
end
if redis.call('PTTL', KEYS[1]) < ends - now then redis.call('PEXPIREAT', KEYS[1], ends) end`

/** KEYS list · ARGV limit usedAt (+inf: the beginning) member */
export const LIST_MEMBERS = `${LISTS}
local behind, page = {used = tonumber(ARGV[2]) or math.huge, member = ARGV[3]}, {}
for _, entry in ipairs(live()) do
  if isAbove(behind, entry) and #page < 3 * ARGV[1] then
    page[#page + 1], page[#page + 2], page[#page + 3] = entry.member, string.format('%.0f', entry.used), entry.value
  end
end
return page`

/** KEYS bucket… · ARGV (capacity perSecond cost)…; answers the wait of the first that has not enough, else 0 */
export const SPEND = `${NOW}
local function spend(key, capacity, rate, cost)
  local bucket = redis.call('HMGET', key, 'n', 't')
  local elapsed = math.max(0, now - (tonumber(bucket[2]) or now))
  local tokens = math.min(capacity, (tonumber(bucket[1]) or capacity) + elapsed * rate / 1000)
  local wait = 0
  if tokens >= cost then tokens = tokens - cost else wait = math.ceil((cost - tokens) / rate * 1000) end
  redis.call('HSET', key, 'n', tokens, 't', now)
  redis.call('PEXPIRE', key, math.ceil((capacity - tokens) / rate * 1000) + 1000)
  return wait
end
for place, key in ipairs(KEYS) do
  local wait = spend(key, tonumber(ARGV[3 * place - 2]), tonumber(ARGV[3 * place - 1]), tonumber(ARGV[3 * place]))
  if wait > 0 then return wait end
end
return 0`
