// Images fetched ahead into the builders' caches.
#pragma once

#include <string>
#include <utility>

#include "daemon/builders/caches.h"
#include "daemon/ports/prefetch.h"

namespace buildwarden::builders {

class BuilderImages final : public ports::BuilderImages {
 public:
  // What `caches` names outlives it.
  explicit BuilderImages(CacheList caches) : caches_(std::move(caches)) {}
  ports::Async<void> fetch(std::string builder, std::string reference) override;

 private:
  CacheList caches_;
};

}  // namespace buildwarden::builders
