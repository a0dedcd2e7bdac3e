// Images fetched ahead into the builders' caches.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/builders/builder_cache.h"
#include "daemon/ports/prefetch.h"

namespace buildwarden::builders {

class BuilderImages final : public ports::BuilderImages {
 public:
  // `caches` outlive it.
  explicit BuilderImages(std::vector<BuilderCache*> caches) : caches_(std::move(caches)) {}
  ports::Async<void> fetch(std::string builder, std::string reference) override;

 private:
  std::vector<BuilderCache*> caches_;
};

}  // namespace buildwarden::builders
