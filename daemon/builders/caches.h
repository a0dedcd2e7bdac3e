// The caches of the configured builders, one each, as the configuration has them now.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/settings.h"
#include "daemon/builders/builder_cache.h"

namespace buildwarden::builders {

// Those that there are now. A list is a copy: a reload while somebody walks it changes nothing of it.
using CacheList = std::function<std::vector<BuilderCache*>()>;

// On the loop's thread alone. A cache lives as long as this, also when its builder is named no more: somebody may be at
// it. Named again it is the same one.
class Caches {
 public:
  Caches(const std::vector<BuilderSettings>& builders, BuilderCache::Parts parts);

  void reconfigure(const std::vector<BuilderSettings>& builders);
  // In the configuration's order.
  [[nodiscard]] std::vector<BuilderCache*> current() const { return current_; }
  // Null when no such builder is configured.
  [[nodiscard]] BuilderCache* find(const std::string& builder) const;

 private:
  BuilderCache* known_or_new(const std::string& builder);

  BuilderCache::Parts parts_;
  std::vector<std::unique_ptr<BuilderCache>> all_;
  std::vector<BuilderCache*> current_;
};

}  // namespace buildwarden::builders
