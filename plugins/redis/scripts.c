/* scripts.c - see scripts.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "core/limits.h"
#include "core/push_assert.h"
#include "redis/scripts.h"

/* clang-format off */

/* C11 promises no more than 4095 bytes; gcc and clang take what there is memory for. */
#pragma GCC diagnostic ignored "-Woverlength-strings"

/* Numbers are kept as text: Lua would write large ones with an exponent.  The last argument of each script is
 * the newest epoch that the caller knows. */
#define TIME \
	"local function text(number) return string.format('%.0f', number) end\n" \
	"local t = redis.call('TIME')\n" \
	"local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)\n"
#define HEAD TIME \
	"local function head(key)\n" \
	"  local info = redis.call('INFO', 'replication')\n" \
	"  local r = string.match(info, 'master_replid:(%x+)') or 'unknown'\n" \
	"  local p = redis.call('HMGET', key, 'r', 'e', 'n', 't')\n" \
	"  local known = tonumber(ARGV[#ARGV])\n" \
	"  local is_whole = p[2] and p[3] and tonumber(p[2]) >= known\n" \
	"  if is_whole and p[1] == r then return p[2], p[3] end\n" \
	"  if is_whole and p[4] and string.find(info, 'master_replid2:0+%s') then\n" \
	"    local up = string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)')\n" \
	"    if tonumber(up) * 1000 > now - tonumber(p[4]) + 2000 then\n" \
	"      redis.pcall('HSET', key, 'r', r)\n" \
	"      return p[2], p[3]\n" \
	"    end\n" \
	"  end\n" \
	"  local e = text(math.max(now, tonumber(p[2] or '0') + 1, known + 1))\n" \
	"  local set = redis.pcall('HSET', key, 'r', r, 'e', e, 'n', p[3] or '0', 't', text(now))\n" \
	"  if type(set) == 'table' then e = text(math.max(tonumber(p[2] or '0') + 1, known)) end\n" \
	"  return e, p[3] or '0'\n" \
	"end\n"

/* Of two ids, of which either may be nil. */
#define LATER \
	"local function later(a, b)\n" \
	"  if not a or not b then return a or b end\n" \
	"  local ae, an = string.match(a, '(%d+)-(%d+)')\n" \
	"  local be, bn = string.match(b, '(%d+)-(%d+)')\n" \
	"  local by = (tonumber(ae) or 0) - (tonumber(be) or 0)\n" \
	"  if by == 0 then by = (tonumber(an) or 0) - (tonumber(bn) or 0) end\n" \
	"  return by > 0 and a or b\n" \
	"end\n"

/* After it nothing of the channel can have left: its last message, or the position of a day ago, or the last of
 * those that were dropped.  The second result is what the next message says of the one before it.  Without `last`
 * nobody knows that one, and whoever has been subscribed since has it: the epoch's begin is a hole to nobody else
 * than to those who know an older epoch. */
#define LEFT LATER \
	"local function left(key, last, e, n)\n" \
	"  local id = redis.call('GET', last)\n" \
	"  if id then return id, id end\n" \
	"  local p = redis.call('HMGET', key, 'o', 'w', 'wt')\n" \
	"  local age = p[3] and now - tonumber(p[3])\n" \
	"  if age and age < 86400000 then return p[1], e .. '-0' end\n" \
	"  local o = not age and '0-0' or age < 172800000 and later(p[1], p[2]) or e .. '-' .. n\n" \
	"  redis.pcall('HSET', key, 'o', o, 'w', e .. '-' .. n, 'wt', text(now))\n" \
	"  return o, e .. '-0'\n" \
	"end\n"

/* The channels with history by their last message.  Those that were quiet longest make room: where there are too
 * many, and where the server has no memory.  (Once a script has written it is not refused memory any more.)  What
 * they had has left, and so has all up to the last message of any of them, since nobody remembers whose it was;
 * of those without a message any more nothing is left to be remembered.  Who may not do that, or is refused for
 * another reason, keeps what it can. */
#define DROP \
	"local front, back = string.match(KEYS[1], '^(.*)push:history(.*)$')\n" \
	"local set, lasts = front .. 'push:channels' .. back, front .. 'push:last' .. back .. ':'\n" \
	"local function drop(count)\n" \
	"  if redis.pcall('ZCARD', set) == 0 then return false end\n" \
	"  local old = redis.pcall('ZPOPMIN', set, count)\n" \
	"  if old.err or #old == 0 then return false end\n" \
	"  local p = redis.call('HMGET', KEYS[1], 'o', 'wt')\n" \
	"  local o = p[1]\n" \
	"  for i = 1, #old, 2 do\n" \
	"    local id = redis.pcall('GET', lasts .. old[i])\n" \
	"    if type(id) ~= 'string' then\n" \
	"      local newest = redis.pcall('XREVRANGE', KEYS[1] .. ':' .. old[i], '+', '-', 'COUNT', 1)[1]\n" \
	"      id = newest and newest[1]\n" \
	"    end\n" \
	"    o = later(o, id)\n" \
	"    redis.call('DEL', KEYS[1] .. ':' .. old[i], lasts .. old[i])\n" \
	"  end\n" \
	"  if o and o ~= p[1] then redis.call('HSET', KEYS[1], 'o', o) end\n" \
	"  if o and not p[2] then redis.call('HSET', KEYS[1], 'w', e .. '-' .. n, 'wt', text(now)) end\n" \
	"  dropped = dropped + #old / 2\n" \
	"  return true\n" \
	"end\n"

/* A channel stands there as if its last message had come later, by the time over which it has had messages: so
 * one that is in use does not give way to ever new names.  That time ends with the message itself, and with
 * SAFE_MS, so that where there is room for few, new ones have their time, too.  One that is new makes room while it
 * stands behind all others, or it could be the one to go. */
#define SAFE_MS "60000"
#define ROOM DROP \
	"local name = string.sub(KEYS[2], #KEYS[1] + 2)\n" \
	"local born = newest and newest[2][10] or newest and newest[2][4] or text(now)\n" \
	"local safe = math.max(0, math.min(now - tonumber(born), tonumber(ARGV[5]), " SAFE_MS "))\n" \
	"local score = text(now + safe) .. string.format('.%03.0f', tonumber(n) % 1000)\n" \
	"local added = redis.pcall('ZADD', set, score, name)\n" \
	"if type(added) == 'table' and string.find(added.err, 'OOM') and drop(8) then\n" \
	"  added = redis.pcall('ZADD', set, score, name)\n" \
	"end\n" \
	"if added == 1 then\n" \
	"  local over = redis.call('ZCARD', set) - tonumber(ARGV[7])\n" \
	"  if over > 0 then\n" \
	"    redis.pcall('ZADD', set, 'inf', name)\n" \
	"    drop(math.min(over, 64))\n" \
	"    redis.pcall('ZADD', set, score, name)\n" \
	"  end\n" \
	"end\n"

_Static_assert(PUSH_HISTORY_SAFE_US == 60000000ull, "SAFE_MS");

/* The last key, where it is that of a publish that happens once: an earlier one is answered.  A first SET finds
 * out whether it can be kept at all; of what is refused nothing stays. */
#define ONCE_MS "300000"
#define EARLIER \
	"local was = redis.call('GET', KEYS[#KEYS])\n" \
	"if was then return {tonumber(was), 'again'} end\n"
#define CLAIM \
	"local kept = redis.pcall('SET', KEYS[#KEYS], '0', 'PX', '" ONCE_MS "')\n" \
	"if kept.err then return kept end\n"

_Static_assert(PUSH_IDEMPOTENCY_US == 300000000ull, "ONCE_MS");

/* `t` is the server's TIME.  After the caller's deadline nothing is carried out: whoever waited has been told
 * that it is uncertain, and may have published again, elsewhere if this server was replaced.  The answer brings
 * the time, for a caller who still waits: the clock may have been set.  (ARGV: the deadline; 0: none.) */
#define LATE(deadline) \
	"if tonumber(" deadline ") > 0 and tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000 > tonumber(" deadline ") then\n" \
	"  return redis.error_reply('LATE ' .. t[1] .. ' ' .. t[2])\n" \
	"end\n"

/* Publishes, and keeps the receivers for a repeat, also of what could not be kept. */
#define SEND \
	"local function send(payload)\n" \
	"  local r = redis.pcall(ARGV[1], ARGV[2], payload)\n" \
	"  if KEYS[4] and type(r) == 'number' then\n" \
	"    redis.pcall('SET', KEYS[4], r, 'PX', '" ONCE_MS "')\n" \
	"  elseif KEYS[4] then\n" \
	"    redis.pcall('DEL', KEYS[4])\n" \
	"  end\n" \
	"  return r\n" \
	"end\n"

/* Only of 4,095 bytes the standard says that a compiler takes them; ours take any. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const char *const texts[PUSH_REDIS_SCRIPT_COUNT] = {
	[PUSH_REDIS_SCRIPT_PUBLISH] = HEAD LEFT SEND
		"if KEYS[4] then\n"
		EARLIER
		"end\n"
		LATE("ARGV[8]")
		"local e, n = head(KEYS[1])\n"
		"local dropped = 0\n"
		"local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]\n"
		ROOM
		"if KEYS[4] then\n"
		CLAIM
		"end\n"
		"if dropped > 0 then newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1] end\n"
		"local size = tonumber(ARGV[4])\n"
		"local over = newest and redis.call('XLEN', KEYS[2]) - size + 1 or 0\n"
		"local a, before\n"
		"if over > 0 then\n"
		"  local old = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', over)\n"
		"  a = old[#old][1]\n"
		"elseif newest then\n"
		"  a = newest[2][8]\n"
		"else\n"
		"  a, before = left(KEYS[1], KEYS[3], e, n)\n"
		"end\n"
		"before = newest and newest[1] or before\n"
		"n = text(tonumber(n) + 1)\n"
		"local id = e .. '-' .. n\n"
		"local kept = redis.pcall('XADD', KEYS[2], 'MAXLEN', size, id,\n"
		"  'm', ARGV[3], 't', text(now), 'x', ARGV[6], 'a', a, 'b', born)\n"
		"if type(kept) == 'table' and kept.err then\n"
		"  local gone = redis.pcall('DEL', KEYS[2], KEYS[3])\n"
		"  if type(gone) == 'number' then\n"
		"    redis.call('HSET', KEYS[1], 'n', n, 't', text(now), 'o', id, 'w', id, 'wt', text(now))\n"
		"  end\n"
		"  local r = send('\\30~' .. (type(gone) == 'number' and '1 ' or '0 ') .. ARGV[3])\n"
		"  return type(r) == 'number' and {r, e, n, kept.err} or r\n"
		"end\n"
		"redis.call('PEXPIRE', KEYS[2], ARGV[5])\n"
		"redis.call('SET', KEYS[3], id, 'PX', '259200000')\n"
		"redis.call('HSET', KEYS[1], 'n', n, 't', text(now))\n"
		"local r = send('\\30#' .. id .. ' ' .. before .. ' ' .. ARGV[6] .. ' ' .. ARGV[3])\n"
		"return type(r) == 'number' and {r, e, n, dropped} or r\n",
	[PUSH_REDIS_SCRIPT_ONCE] =
		EARLIER
		"if ARGV[4] ~= '0' then\n"
		"  local t = redis.call('TIME')\n"
		LATE("ARGV[4]")
		"end\n"
		CLAIM
		"local r = redis.pcall(ARGV[1], ARGV[2], ARGV[3])\n"
		"if type(r) ~= 'number' then redis.call('DEL', KEYS[1]) return r end\n"
		"redis.call('SET', KEYS[1], r, 'PX', '" ONCE_MS "')\n"
		"return r\n",
	[PUSH_REDIS_SCRIPT_FETCH] = HEAD LEFT
		"local e, n = head(KEYS[1])\n"
		"local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]\n"
		"local a = newest and newest[2][8] or left(KEYS[1], KEYS[3], e, n)\n"
		"local after = a\n"
		"local out = {e, n, text(now)}\n"
		"local count, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
		"for i, m in ipairs(redis.call('XREVRANGE', KEYS[2], ARGV[2], ARGV[1], 'COUNT', count + 1)) do\n"
		"  local f = m[2]\n"
		"  if now - tonumber(f[4]) >= tonumber(ARGV[3]) then a = m[1] after = a break end\n"
		"  bytes = bytes - #f[2]\n"
		"  if i > count or (i > 1 and bytes < 0) then after = m[1] break end\n"
		"  local at = #out\n"
		"  out[at + 1], out[at + 2], out[at + 3], out[at + 4] = m[1], f[4], f[6], f[2]\n"
		"end\n"
		"out[#out + 1] = after\n"
		"out[#out + 1] = a\n"
		"return out\n",
	[PUSH_REDIS_SCRIPT_HEAD] = HEAD
		"local e, n = head(KEYS[1])\n"
		"local at = e .. '-' .. n\n"
		"local r = redis.pcall(ARGV[1], ARGV[2], at)\n"
		"return type(r) == 'table' and r.err and at .. ' ' .. r.err or at\n",
	/* Those that are too old are in front, and there may be many: the first that is not is searched by halves
	 * of the numbers of their epoch.  Messages come a few at a time, since each may be large; any of them may have
	 * outlived its own ttl, so how many are looked at is limited, too. */
	[PUSH_REDIS_SCRIPT_READ] = HEAD LEFT
		"local e, n = head(KEYS[1])\n"
		"local function at(from, to)\n"
		"  return redis.call('XRANGE', KEYS[2], from, to, 'COUNT', 1)[1]\n"
		"end\n"
		"local function is_old(m) return m and now - tonumber(m[2][4]) >= tonumber(ARGV[4]) end\n"
		"local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]\n"
		"local a = newest and newest[2][8] or left(KEYS[1], KEYS[3], e, n)\n"
		"local from, epoch, number = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])\n"
		"if epoch > tonumber(e) or epoch == tonumber(e) and number > tonumber(n) then from = '-' end\n"
		"local first = at(from, '+')\n"
		"while is_old(first) do\n"
		"  local its, low = string.match(first[1], '(%d+)-(%d+)')\n"
		"  local high = tonumber(n) + 1\n"
		"  low, a = tonumber(low) + 1, first[1]\n"
		"  while low < high do\n"
		"    local middle = math.floor((low + high) / 2)\n"
		"    local m = at(its .. '-' .. text(middle), its)\n"
		"    if is_old(m) then\n"
		"      low, a = tonumber(string.match(m[1], '-(%d+)')) + 1, m[1]\n"
		"    else\n"
		"      high = middle\n"
		"    end\n"
		"  end\n"
		"  from = its .. '-' .. text(low)\n"
		"  first = at(from, '+')\n"
		"end\n"
		"local out = {e .. '-' .. n, a}\n"
		"local count, bytes, seen = tonumber(ARGV[5]), tonumber(ARGV[6]), 0\n"
		"local chunk, after\n"
		"repeat\n"
		"  chunk = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 16)\n"
		"  for _, m in ipairs(chunk) do\n"
		"    if seen == 4096 then out[#out + 1] = after return out end\n"
		"    seen = seen + 1\n"
		"    local f = m[2]\n"
		"    local x = tonumber(f[6])\n"
		"    if x == 0 or now - tonumber(f[4]) < x then\n"
		"      if count == 0 or bytes <= 0 then out[#out + 1] = after return out end\n"
		"      count, bytes = count - 1, bytes - #f[2]\n"
		"      out[#out + 1], out[#out + 2] = m[1], f[2]\n"
		"    end\n"
		"    after = m[1]\n"
		"  end\n"
		"  if after then\n"
		"    local its, number = string.match(after, '(%d+)-(%d+)')\n"
		"    from = its .. '-' .. text(tonumber(number) + 1)\n"
		"  end\n"
		"until #chunk < 16\n"
		"out[#out + 1] = out[1]\n"
		"return out\n",
	/* Until there is room for what others need in the next moment, too: a hundredth.  Of a server that does
	 * not say how much it has a few will do. */
	[PUSH_REDIS_SCRIPT_ROOM] = TIME LATER
		"local p = redis.call('HMGET', KEYS[1], 'e', 'n')\n"
		"local e, n = p[1] or '0', p[2] or '0'\n"
		"local dropped = 0\n"
		DROP
		"local function is_full()\n"
		"  local info = redis.call('INFO', 'memory')\n"
		"  local function number(name)\n"
		"    return tonumber(string.match(info, '\\n' .. name .. ':(%d+)') or '0')\n"
		"  end\n"
		"  local max = number('maxmemory')\n"
		"  return max > 0 and number('used_memory') - number('mem_not_counted_for_evict') > max * 0.99\n"
		"end\n"
		"repeat until not drop(8) or dropped >= tonumber(ARGV[1]) or not is_full()\n"
		"return dropped\n",
};
#pragma GCC diagnostic pop
/* clang-format on */

void
push_redis_scripts_init(struct push_redis_scripts *scripts)
{
	for (int i = 0; i < PUSH_REDIS_SCRIPT_COUNT; i++) {
		unsigned char digest[EVP_MAX_MD_SIZE];
		unsigned int size = 0;
		int result = EVP_Digest(texts[i], strlen(texts[i]), digest, &size, EVP_sha1(), NULL);

		PUSH_ASSERT(result == 1 && 2 * size + 1 == PUSH_REDIS_SHA_BYTES);
		for (unsigned int byte = 0; byte < size; byte++)
			snprintf(scripts->sha[i] + 2 * byte, 3, "%02x", digest[byte]);
	}
}

const char *
push_redis_script_text(enum push_redis_script script)
{
	return texts[script];
}
