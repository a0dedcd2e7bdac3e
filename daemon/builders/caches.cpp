#include "daemon/builders/caches.h"

#include <algorithm>

namespace buildwarden::builders {

Caches::Caches(const std::vector<BuilderSettings>& builders, BuilderCache::Parts parts) : parts_(parts) {
  reconfigure(builders);
}

void Caches::reconfigure(const std::vector<BuilderSettings>& builders) {
  current_.clear();
  for (const auto& builder : builders) current_.push_back(known_or_new(builder.name));
}

BuilderCache* Caches::find(const std::string& builder) const {
  const auto found = std::find_if(current_.begin(), current_.end(),
                                  [&builder](const BuilderCache* one) { return one->builder() == builder; });
  return found == current_.end() ? nullptr : *found;
}

BuilderCache* Caches::known_or_new(const std::string& builder) {
  const auto known =
      std::find_if(all_.begin(), all_.end(), [&builder](const auto& one) { return one->builder() == builder; });
  if (known != all_.end()) return known->get();
  all_.push_back(std::make_unique<BuilderCache>(builder, parts_));
  return all_.back().get();
}

}  // namespace buildwarden::builders
