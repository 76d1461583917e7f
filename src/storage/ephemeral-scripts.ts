/**
 * The state changes of the ephemeral store as Lua: Redis runs a script as one step, so nobody sees or makes a half state.
 * Time is the server's (TIME), in milliseconds. Fields are single letters because they are paid for per session:
 *
 * single-use object  v value · s state (fresh, taken, done) · x index
 * family             c current digest · p previous digest · t when c was presented first · l, e lease id and its end ·
 *                    d data of the current generation · x index
 * code               v digest · w wrong tries
 * bucket             n tokens · t when they were counted
 * list               three keys: members by last use · members by end of life · values
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

/** KEYS family index settled deny (the family again: none) · ARGV digest data ttl settledTtl */
export const START_FAMILY = `${NOW}${ENLIST}${SETTLING}
if KEYS[4] ~= KEYS[1] and redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'c', ARGV[1], 'd', ARGV[2], 'x', KEYS[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
enlist(KEYS[2], KEYS[1], ARGV[3])
if KEYS[3] ~= KEYS[1] then settle(KEYS[3], ARGV[4]) end
return 1`

/** KEYS family mark… */
export const READ_FAMILY = `
local family = redis.call('HMGET', KEYS[1], 'c', 'p', 'd')
if #KEYS == 1 then return {family, {}} end
return {family, redis.call('MGET', unpack(KEYS, 2))}`

/** KEYS family sealed index deny · ARGV digest leaseId leaseMs graceMs denyTtl */
export const ROTATE_BEGIN = `${NOW}${REVOKE}
local family = redis.call('HMGET', KEYS[1], 'c', 'p', 'l', 'e', 't', 'd')
local current, previous, lease = family[1], family[2], family[3]
if not current then return {'gone'} end
local leaseEnd, presentedAt = tonumber(family[4] or 0), tonumber(family[5] or 0)
local isInGrace = now - presentedAt < tonumber(ARGV[4])
if ARGV[1] == current then
  if not lease then
    redis.call('UNLINK', KEYS[2])
    redis.call('HSET', KEYS[1], 'l', ARGV[2], 'e', now + ARGV[3], 't', now)
    return {'won', family[6]}
  end
  if now < leaseEnd then return {'busy', leaseEnd - now} end
  if isInGrace then
    redis.call('HSET', KEYS[1], 'l', ARGV[2], 'e', now + ARGV[3])
    return {'won', family[6]}
  end
elseif ARGV[1] == previous and isInGrace then
  -- There is a sealed answer only until its successor is presented.
  local sealed = redis.call('GET', KEYS[2])
  if sealed then return {'replay', sealed} end
end
redis.call('UNLINK', KEYS[1], KEYS[2])
revoke(KEYS[3], KEYS[4], ARGV[5])
return {'reuse'}`

/** KEYS family sealed · ARGV leaseId digest data sealed ttl graceMs */
export const ROTATE_COMMIT = `${NOW}${ENLIST}
local family = redis.call('HMGET', KEYS[1], 'l', 'c', 't', 'x')
if family[1] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'p', family[2], 'c', ARGV[2], 'd', ARGV[3])
redis.call('HDEL', KEYS[1], 'l', 'e')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
enlist(family[4], KEYS[1], ARGV[5])
local left = ARGV[6] - (now - family[3])
if left > 0 then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', left)
  enlist(family[4], KEYS[2], left)
end
return 1`

/** KEYS family sealed · ARGV presented digest data sealed ttl graceMs */
export const ROTATE = `${NOW}${ENLIST}
local family = redis.call('HMGET', KEYS[1], 'c', 'l', 'x')
if family[1] ~= ARGV[1] or family[2] then return 0 end
redis.call('HSET', KEYS[1], 'p', family[1], 'c', ARGV[2], 'd', ARGV[3], 't', now)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[6])
enlist(family[3], KEYS[1], ARGV[5])
enlist(family[3], KEYS[2], ARGV[6])
return 1`

/** KEYS family · ARGV leaseId */
export const ROTATE_ABORT = `
if redis.call('HGET', KEYS[1], 'l') == ARGV[1] then redis.call('HDEL', KEYS[1], 'l', 'e') end`

/** KEYS index deny · ARGV denyTtl */
export const REVOKE_GRANT = `${NOW}${REVOKE}
revoke(KEYS[1], KEYS[2], ARGV[1])`

const LISTS = `${NOW}
local function fallOff(members)
  for _, member in ipairs(members) do
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[2], member)
    redis.call('HDEL', KEYS[3], member)
  end
end
local function dropDead() fallOff(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) end`

/** KEYS uses ends values · ARGV member value ttl cap keep */
export const ENLIST_MEMBER = `${LISTS}
dropDead()
local ends = math.max(now + ARGV[3], tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0))
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZADD', KEYS[2], ends, ARGV[1])
redis.call(ARGV[5] == '1' and 'HSETNX' or 'HSET', KEYS[3], ARGV[1], ARGV[2])
fallOff(redis.call('ZRANGE', KEYS[1], 0, -1 - ARGV[4]))
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, last) end`

/** KEYS uses ends values · ARGV limit usedAt (+inf: the beginning) member */
export const LIST_MEMBERS = `${LISTS}
dropDead()
local ties = redis.call('ZCOUNT', KEYS[1], ARGV[2], ARGV[2])
local found = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[2], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1] + ties)
local page = {}
for i = 1, #found, 2 do
  local member, used = found[i], found[i + 1]
  if (used ~= ARGV[2] or member < ARGV[3]) and #page < 3 * ARGV[1] then
    page[#page + 1], page[#page + 2], page[#page + 3] = member, used, redis.call('HGET', KEYS[3], member)
  end
end
return page`

/** KEYS uses ends values · ARGV member… */
export const DELIST = `${LISTS}
fallOff(ARGV)`

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
