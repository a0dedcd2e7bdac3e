// What two looks at a build cache tell of its use in between: what was found there, and what had to be made again.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/time.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/policy/savings.h"
#include "daemon/policy/worth.h"

namespace buildwarden::policy {

// A look at a cache: how often each record had been used by then.
struct RecordSeen {
  std::uint64_t uses = 0;
  bool in_use = false;
};
using CacheSight = std::unordered_map<std::string, RecordSeen>;  // by id

// What is known before a look.
struct CacheBefore {
  std::shared_ptr<const CacheSight> sight;  // of the look before; null: there was none, so nothing counts as a use
  std::map<SlotId, WallTime> deleted;       // slots of which a record was deleted, and when
};

// What a look adds to the accounts.
struct CacheAccount {
  std::shared_ptr<const CacheSight> sight;
  std::map<WallTime, Amount> saved;                 // by the last use of what was used
  std::vector<std::pair<SlotId, WallTime>> remade;  // slots of CacheBefore, and when something was made in them
};

// `things` are the list's records, in their order (cache_things()).
//
// A use of a record that was there saved its step and those of all that it is built on, since a cached build touches
// the leaf alone. What several leaves are built on is saved as often as the most used of them: the least that it can
// have been. What was in use at the look before counts anew from this one, for the build that made it may have ended
// since; so does what that look had not seen. What is sent anyway saves nothing.
CacheAccount account_for(const CacheList& list, const std::vector<Thing>& things, const CacheBefore& before);

// A record that goes, and what it takes to get it back. One that the descriptions below it name exactly (RUN on a base
// with a digest) costs that when it comes back; one that depends on what a job sends (COPY) may come back as another
// version, which deleting nothing would not have spared: its cost counts by the share of its slot's uses that found it
// unchanged, and is an estimate.
struct LostRecord {
  SlotId slot = 0;
  Amount amount;
};
// By the record's id, for all in the list whose slot is known.
std::unordered_map<std::string, LostRecord> losses_of(const std::vector<CacheRecord>& records,
                                                      const std::vector<Thing>& things);

}  // namespace buildwarden::policy
